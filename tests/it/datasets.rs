//! Data sets in the registry: the verbs of models, what is known of the data, and versions as inputs.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn json_of(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    sandbox.git_ml(arguments).success().json()
}

/// A repository with a table of flowers in two parts, tracked with a licence.
fn flowers() -> Sandbox {
    let sandbox = Sandbox::new();
    let row = |number: usize| format!("{number},{}\n", if number.is_multiple_of(3) { "setosa" } else { "big, blue" });
    let table = |numbers: std::ops::Range<usize>| {
        let rows: String = numbers.map(|number| row(number).replace("big, blue", "\"big, blue\"")).collect();
        format!("width,label\n{rows}")
    };
    sandbox.write("data/flowers/train.csv", table(0..9));
    sandbox.write("data/flowers/test.csv", table(9..12));
    sandbox.git_ml(&["track", "data/flowers", "--type", "dataset", "--meta", "licence=MIT"]).success();
    sandbox.commit("Flowers");
    sandbox
}

#[test]
fn what_a_data_set_holds_is_known_without_its_bytes() {
    let sandbox = flowers();
    let registered = sandbox.git_ml(&["dataset", "register", "data/flowers", "--name", "flowers", "--tag", "a=b"]);
    assert_eq!(registered.success().stdout(), "flowers@v1\n");
    // Nothing but git's own objects is left.
    std::fs::rename(sandbox.path(".git/ml/packs"), sandbox.root().join("packs")).unwrap();
    std::fs::remove_dir_all(sandbox.path("data/flowers")).unwrap();
    let shown = json_of(&sandbox, &["dataset", "show", "flowers@v1", "--json"]);
    assert_eq!(
        (&shown["dataset"], &shown["version"], &shown["type"]),
        (&json!("flowers"), &json!(1), &json!("dataset"))
    );
    assert_eq!((&shown["meta"], &shown["tags"]), (&json!({"licence": "MIT"}), &json!({"a": "b"})));
    let data = &shown["data"];
    assert_eq!((&data["format"], &data["examples"], &data["classes"]), (&json!("table"), &json!(12), &json!(2)));
    assert_eq!(data["splits"], json!({"train": 9, "test": 3}));
    assert_eq!(data["columns"], json!(["width", "label"]));
    let classes = json!([{"name": "big, blue", "examples": 8}, {"name": "setosa", "examples": 4}]);
    assert_eq!(data["class_examples"], classes);
    let text = sandbox.git_ml(&["dataset", "show", "flowers"]).success().stdout();
    assert!(text.contains("splits      test: 3\n            train: 9\n"), "{text}");

    let chosen = |query: &str| {
        let list = json_of(&sandbox, &["dataset", "list", "--where", query, "--json"]);
        list.as_array().unwrap().len()
    };
    for query in [
        "data.examples > 10",
        "data.examples = 12 and data.classes = 2 and data.format = 'table'",
        "data.class.\"big, blue\" > 7",
        "data.split.test <= 3",
        "meta.licence like 'M%'",
        "by like 'Ada%' and not deprecated and alias not in ('production')",
        "registered > 1 hour ago and version = 1 and dataset = 'flowers'",
    ] {
        assert_eq!(chosen(query), 1, "{query}");
    }
    assert_eq!(chosen("data.examples > 12 or data.class.none > 0 or meta.owner = 'x'"), 0);
    sandbox.git_ml(&["dataset", "list", "--where", "data.exampels >"]).one_line_error();
}

#[test]
fn names_are_of_one_kind() {
    let sandbox = flowers();
    sandbox.git_ml(&["dataset", "register", "data/flowers", "--name", "flowers", "--alias", "stable"]).success();
    for arguments in [
        &["model", "show", "flowers@v1"][..],
        &["model", "history", "flowers"],
        &["model", "promote", "flowers", "production"],
        &["model", "rollback", "flowers", "stable"],
        &["model", "unalias", "flowers", "stable"],
        &["model", "get", "flowers@stable"],
        &["model", "delete", "flowers", "--force"],
        &["model", "register", "data/flowers", "--name", "flowers"],
    ] {
        let refused = sandbox.git_ml(arguments).one_line_error();
        assert_eq!(
            refused.stderr(),
            "error: `flowers` is a dataset, not a model\nhint: `git ml dataset` has the same commands\n"
        );
    }
    assert_eq!(json_of(&sandbox, &["model", "list", "--json"]), json!([]));
    let list = json_of(&sandbox, &["dataset", "list", "--json"]);
    assert_eq!((&list[0]["dataset"], &list[0]["aliases"]), (&json!("flowers"), &json!({"stable": 1})));
    sandbox.git_ml(&["model", "register", "data/flowers", "--name", "classifier"]).success();
    let refused = sandbox.git_ml(&["dataset", "show", "classifier"]).one_line_error();
    assert!(refused.stderr().starts_with("error: `classifier` is a model, not a dataset"), "{refused}");
    sandbox.git_ml(&["verify", "--deep"]).success();
}

#[test]
fn a_version_is_an_input_like_any_path() {
    let sandbox = flowers();
    sandbox.git_ml(&["dataset", "register", "data/flowers", "--name", "flowers"]).success();
    sandbox.write("data/flowers/test.csv", "width,label\n1,setosa\n2,\"big, blue\"\n");
    sandbox.git_ml(&["track", "data/flowers"]).success();
    sandbox.git_ml(&["dataset", "register", "data/flowers", "--name", "flowers", "--alias", "stable"]).success();
    let version = |wanted: &str| json_of(&sandbox, &["dataset", "show", wanted, "--json"])["id"].clone();
    assert_ne!(version("flowers@v1"), version("flowers@stable"));
    // As a target.
    let cat = sandbox.git_ml(&["cat", "flowers@v1:test.csv"]).success().stdout();
    assert!(cat.starts_with("width,label\n9,setosa\n"), "{cat}");
    sandbox.git_ml(&["dataset", "get", "flowers@v1", "-o", "old"]).success();
    assert_eq!(sandbox.read("old/test.csv"), cat);
    let id = version("flowers@v1");
    sandbox.git_ml(&["dataset", "register", id.as_str().unwrap(), "--name", "again"]).success();
    assert_eq!(json_of(&sandbox, &["dataset", "show", "again", "--json"])["type"], "dataset");
    // As the input of a command.
    sandbox.write(
        "ml.toml",
        "[experiments.count]\ncommand = \"true\"\ninputs = [\"flowers@v1\"]\n\
         [experiments.both]\ncommand = \"true\"\ninputs = [\"flowers@stable\", \"data/flowers\"]\n\
         [experiments.wrong]\ncommand = \"true\"\ninputs = [\"flowers@nothing\"]\n",
    );
    sandbox.git_ml(&["trust"]).success();
    sandbox.git_ml(&["run", "count"]).success();
    let inputs = |run: &Value| run["inputs"].clone();
    let run = json_of(&sandbox, &["show", "@", "--json"]);
    assert_eq!(inputs(&run), json!([{"path": "flowers@v1", "name": "flowers", "id": version("flowers@v1")}]));
    sandbox.git_ml(&["run", "both"]).success();
    let run = json_of(&sandbox, &["show", "@", "--json"]);
    let paths: Vec<&Value> = run["inputs"].as_array().unwrap().iter().map(|input| &input["path"]).collect();
    assert_eq!(paths, ["data/flowers", "flowers@stable"]);
    sandbox.git_ml(&["run", "wrong"]).one_line_error();
}

#[test]
fn versions_are_deprecated_described_tagged_and_deleted_with_a_history() {
    let sandbox = flowers();
    let dataset = |arguments: &[&str]| sandbox.git_ml(&[&["dataset"], arguments].concat());
    for number in 0..3 {
        sandbox.write("data/flowers/more.txt", format!("{number}"));
        sandbox.git_ml(&["track", "data/flowers"]).success();
        dataset(&["register", "data/flowers", "--name", "flowers"]).success();
    }
    dataset(&["promote", "flowers", "stable", "v2"]).success();
    dataset(&["deprecate", "flowers", "v2", "--reason", "labels are wrong"]).success();
    let warned = dataset(&["get", "flowers@stable", "-o", "out"]).success().stderr();
    assert!(warned.contains("warning: flowers@v2 is deprecated: labels are wrong\n"), "{warned}");
    let warned = dataset(&["promote", "flowers", "other", "v2"]).success().stderr();
    assert!(warned.contains("warning: flowers@v2 is deprecated"), "{warned}");
    let shown = dataset(&["deprecate", "flowers", "v2", "--undo", "--json"]).success().json();
    assert_eq!(shown["deprecated"], Value::Null);
    dataset(&["describe", "flowers", "All flowers"]).success();
    dataset(&["describe", "flowers@v3", "with the new ones"]).success();
    dataset(&["tag", "flowers", "owner=ada"]).success();
    let listed = dataset(&["list", "--json"]).success().json();
    assert_eq!((&listed[0]["description"], &listed[0]["tags"]), (&json!("All flowers"), &json!({"owner": "ada"})));
    dataset(&["tag", "flowers", "-d", "owner"]).success();

    // Nothing goes without --force, and nothing that an alias points to.
    let refused = dataset(&["delete", "flowers", "v1"]).one_line_error().stderr();
    assert!(refused.contains("flowers@v1 would be deleted, and nothing was done"), "{refused}");
    let refused = dataset(&["delete", "flowers", "v2", "--force"]).one_line_error().stderr();
    assert!(refused.contains("`flowers@v2` cannot be deleted: the aliases other, stable point to it"), "{refused}");
    dataset(&["delete", "flowers", "--force"]).one_line_error();
    dataset(&["delete", "flowers", "v3", "--force", "--note", "a mistake"]).success();
    dataset(&["unalias", "flowers", "other"]).success();
    dataset(&["register", "data/flowers", "--name", "flowers"]).success();
    let history = dataset(&["history", "flowers", "--json"]).success().json();
    let events: Vec<(&str, &Value)> =
        history.as_array().unwrap().iter().map(|event| (event["event"].as_str().unwrap(), &event["version"])).collect();
    let expected = ["register", "unalias", "remove", "describe", "describe", "describe", "describe", "restore"];
    assert_eq!(events.iter().map(|(event, _)| *event).take(8).collect::<Vec<_>>(), expected);
    assert_eq!((events[0].1, &history[2]["note"]), (&json!(4), &json!("a mistake")), "a number is given once");
    dataset(&["unalias", "flowers", "stable"]).success();
    dataset(&["delete", "flowers", "--force"]).success();
    assert_eq!(json_of(&sandbox, &["dataset", "list", "--json"]), json!([]));
    sandbox.git_ml(&["verify"]).success();
}

#[test]
fn data_of_no_known_format_is_registered_with_a_word() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/words.bin", "whatever");
    sandbox.git_ml(&["track", "data/x"]).success();
    let registered = sandbox.git_ml(&["dataset", "register", "data/x", "--name", "x"]).success();
    assert_eq!(registered.stdout(), "x@v1\n");
    assert!(
        registered.stderr().starts_with("nothing is known of what is in it: x has no data that is known"),
        "{registered}"
    );
    assert_eq!(json_of(&sandbox, &["dataset", "show", "x", "--json"])["data"], Value::Null);
    // Folders of images are told by their names.
    for name in ["train/cat/1.png", "train/dog/1.png", "train/dog/2.png", "test/cat/3.png"] {
        sandbox.write(format!("data/pets/{name}"), "not even an image");
    }
    sandbox.git_ml(&["track", "data/pets"]).success();
    let shown = sandbox.git_ml(&["dataset", "register", "data/pets", "--name", "pets", "--json"]).success().json();
    let data = &shown["data"];
    assert_eq!(
        (&data["format"], &data["examples"], &data["splits"]),
        (&json!("folders"), &json!(4), &json!({"test": 1, "train": 3}))
    );
    assert_eq!(data["class_examples"], json!([{"name": "cat", "examples": 2}, {"name": "dog", "examples": 2}]));
}
