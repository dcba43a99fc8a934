//! Every template as its users meet it: set up, given data, trained, registered, verified.
//!
//! The data are small ones of the same form, made here; where `GIT_ML_TEST_DATA` names the real ones, a part of those too.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::images::{gzip, idx};
use crate::sandbox::Sandbox;

const WORKER: &str = env!("CARGO_BIN_EXE_git-ml-torch");

#[test]
fn mnist() {
    for source in [Some(Source::Made), real("mnist")].into_iter().flatten() {
        let sandbox = project("mnist", &source);
        train_twice(&sandbox, &source, &["baseline", "-p", "epochs=1"]);
        train(&sandbox, &["dropout", "-p", "epochs=1"]);
        train(&sandbox, &["tuned", "-p", "epochs=1"]);
        // What its README says.
        let compared = sandbox.git_ml(&["compare", "@~2", "@~1", "@"]).success().stdout();
        assert!(compared.contains("filters") && compared.contains("test_accuracy"), "{compared}");
        let sorted = sandbox.git_ml(&["log", "--sort", "-metrics.test_accuracy", "--json"]).success().json();
        let accuracies: Vec<f64> = sorted.as_array().unwrap().iter().map(accuracy).collect();
        assert!(accuracies.len() >= 3 && accuracies.is_sorted_by(|one, next| one >= next), "{accuracies:?}");
        register_and_verify(&sandbox, sorted[0]["name"].as_str().unwrap(), "mnist");
    }
}

#[test]
fn cifar10() {
    for source in [Some(Source::Made), real("cifar10")].into_iter().flatten() {
        let sandbox = project("cifar10", &source);
        let short = |experiment| [experiment, "-p", "epochs=1", "-p", "batch_size=9"];
        train_twice(&sandbox, &source, &short("modified"));
        train(&sandbox, &short("standard"));
        if !matches!(source, Source::Made) {
            continue;
        }
        train(&sandbox, &short("upsample"));
        // Where no one's weights are to be had, those of a short training have the same names.
        let told = sandbox.git_ml(&["train", "resnet50"]).code(1).stderr();
        assert!(told.starts_with("error: there is no file at weights/resnet50.safetensors"), "{told}");
        let start = "[experiments.start]\nmodel = \"resnet50\"\ndata = \"data/cifar10\"\nepochs = 1\n";
        sandbox.write("ml.toml", format!("{}\n{start}", sandbox.read("ml.toml")));
        sandbox.git_ml(&["trust", "--quiet"]).success();
        train(&sandbox, &["start"]);
        let weights = sandbox.git_ml(&["cat", "run:@:model:model.safetensors"]).success();
        sandbox.write("weights/resnet50.safetensors", weights.stdout_bytes());
        sandbox.git_ml(&["track", "weights/resnet50.safetensors", "--type", "model"]).success();
        sandbox.commit("Begin with weights");
        train(&sandbox, &["resnet50", "-p", "image_size=32", "-p", "phase1.epochs=1", "-p", "phase2.epochs=1"]);
        let run = latest(&sandbox);
        let inputs: Vec<_> = run["inputs"].as_array().unwrap().iter().map(|input| input["path"].clone()).collect();
        assert_eq!(inputs, ["data/cifar10", "weights/resnet50.safetensors"]);
        assert_eq!((&run["params"]["phase1.freeze"], &run["params"]["phase2.epochs"]), (&"true".into(), &"1".into()));
        register_and_verify(&sandbox, "@", "cifar10");
    }
}

#[test]
fn sentiment() {
    for source in [Some(Source::Made), real("sentiment")].into_iter().flatten() {
        let sandbox = project("sentiment", &source);
        for experiment in ["majority", "few-labels", "logistic-regression", "naive-bayes"] {
            train_twice(&sandbox, &source, &[experiment]);
        }
        if matches!(source, Source::Made) {
            assert!(accuracy(&latest(&sandbox)) > 0.9, "{:#}", latest(&sandbox));
        }
        register_and_verify(&sandbox, "@", "sentiment");
    }
}

#[test]
fn grocery() {
    for source in [Some(Source::Made), real("grocery")].into_iter().flatten() {
        let sandbox = project("grocery", &source);
        for arguments in [&["majority"][..], &["cnn", "-p", "epochs=2"], &["few-labels"]] {
            train_twice(&sandbox, &source, arguments);
        }
        assert_eq!(latest(&sandbox)["params"]["labeled_ratio"], "0.2");
        register_and_verify(&sandbox, "@", "grocery");
    }
}

/// Where a template's data come from.
enum Source {
    Made,
    /// A folder with the real ones.
    Real(PathBuf),
}

fn real(template: &str) -> Option<Source> {
    let Some(folder) = std::env::var_os("GIT_ML_TEST_DATA") else {
        eprintln!("GIT_ML_TEST_DATA is not set: {template} is tested with made data only");
        return None;
    };
    Some(Source::Real(Path::new(&folder).join(template)))
}

/// A project as `git ml init` makes it, with data as `data/fetch` brings them.
fn project(template: &str, source: &Source) -> Sandbox {
    let sandbox = Sandbox::without_repository();
    sandbox.use_worker(WORKER);
    sandbox.git_ml(&["init", "--template", template, "--quiet"]).success();
    match (template, source) {
        ("mnist", Source::Made) => make_mnist(&sandbox),
        ("mnist", Source::Real(folder)) => cut_mnist(&sandbox, folder),
        ("cifar10", Source::Made) => make_cifar10(&sandbox),
        ("cifar10", Source::Real(folder)) => cut_cifar10(&sandbox, folder),
        ("sentiment", Source::Made) => make_sentiment(&sandbox),
        ("sentiment", Source::Real(folder)) => cut_sentiment(&sandbox, folder),
        (_, Source::Made) => make_grocery(&sandbox),
        (_, Source::Real(folder)) => cut_grocery(&sandbox, folder),
    }
    sandbox.shell("data/fetch --from ../source").success();
    sandbox.git_ml(&["track", &format!("data/{template}")]).success();
    sandbox.commit("Begin");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout(), "");
    sandbox
}

/// Trains, and returns the model's id.
fn train(sandbox: &Sandbox, arguments: &[&str]) -> String {
    sandbox.git_ml(&[&["train"], arguments].concat()).success();
    let run = latest(sandbox);
    assert_eq!(run["status"], "finished");
    let accuracy = accuracy(&run);
    assert!((0.0..=1.0).contains(&accuracy), "{run:#}");
    run["outputs"][0]["id"].as_str().unwrap().to_owned()
}

/// Trains, on made data a second time too: the model is the same.
fn train_twice(sandbox: &Sandbox, source: &Source, arguments: &[&str]) {
    let model = train(sandbox, arguments);
    if matches!(source, Source::Made) {
        assert_eq!(train(sandbox, arguments), model, "{arguments:?}");
    }
}

fn latest(sandbox: &Sandbox) -> Value {
    sandbox.git_ml(&["show", "@", "--json"]).success().json()
}

fn accuracy(run: &Value) -> f64 {
    run["metrics"]["test_accuracy"]["last"].as_f64().unwrap_or_else(|| panic!("{run:#}"))
}

fn register_and_verify(sandbox: &Sandbox, run: &str, model: &str) {
    sandbox.git_ml(&["model", "register", &format!("run:{run}"), "--name", model]).success();
    sandbox.git_ml(&["model", "alias", model, "production", "v1"]).success();
    let card = sandbox.git_ml(&["cat", &format!("{model}@production:README.md")]).success().stdout();
    assert!(card.starts_with("# "), "{card}");
    sandbox.git_ml(&["verify", "--all", "--deep"]).success();
}

/// Pixels of which a band is bright that tells the class, with noise.
fn pixels(number: usize, class: usize, classes: usize, count: usize) -> Vec<u8> {
    let noise = crate::sandbox::noise(number as u64 + 1, count);
    let pixel = |(index, noise): (usize, u8)| noise / 2 + if index * classes / count == class { 100 } else { 0 };
    noise.into_iter().enumerate().map(pixel).collect()
}

fn write_mnist(sandbox: &Sandbox, part: &str, side: u32, images: &[u8], labels: &[u8]) {
    let folder = sandbox.root().join("source");
    let images = gzip(&idx(0x803, &[labels.len() as u32, side, side], images));
    sandbox.write(folder.join(format!("{part}-images-idx3-ubyte.gz")), images);
    sandbox.write(folder.join(format!("{part}-labels-idx1-ubyte")), idx(0x801, &[labels.len() as u32], labels));
}

fn make_mnist(sandbox: &Sandbox) {
    for (part, first, count) in [("train", 0, 300), ("t10k", 300, 60)] {
        let labels: Vec<u8> = (0..count).map(|number| (number % 10) as u8).collect();
        let images: Vec<u8> = (0..count).flat_map(|number| pixels(first + number, number % 10, 10, 28 * 28)).collect();
        write_mnist(sandbox, part, 28, &images, &labels);
    }
}

fn cut_mnist(sandbox: &Sandbox, folder: &Path) {
    for (part, count) in [("train", 1000), ("t10k", 200)] {
        let read = |name: &str| {
            let mut content = Vec::new();
            let file = fs::File::open(folder.join(format!("{part}-{name}-ubyte.gz"))).unwrap();
            flate2::read::GzDecoder::new(file).read_to_end(&mut content).unwrap();
            content
        };
        let (images, labels) = (read("images-idx3"), read("labels-idx1"));
        write_mnist(sandbox, part, 28, &images[16..16 + count * 784], &labels[8..8 + count]);
    }
}

const CIFAR_FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];

fn make_cifar10(sandbox: &Sandbox) {
    for (batch, name) in CIFAR_FILES.into_iter().enumerate() {
        let record = |number: usize| [vec![(number % 10) as u8], pixels(number, number % 10, 10, 3072)].concat();
        let records: Vec<u8> = (batch * 10..batch * 10 + 10).flat_map(record).collect();
        sandbox.write(sandbox.root().join("source").join(name), records);
    }
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    sandbox.write(sandbox.root().join("source/batches.meta.txt"), names);
}

fn cut_cifar10(sandbox: &Sandbox, folder: &Path) {
    for name in CIFAR_FILES {
        let content = fs::read(folder.join(name)).unwrap();
        sandbox.write(sandbox.root().join("source").join(name), &content[..3073 * 30]);
    }
    let names = fs::read(folder.join("batches.meta.txt")).unwrap();
    sandbox.write(sandbox.root().join("source/batches.meta.txt"), names);
}

/// As the sentences are published: a file for each label, with blanks at the ends and letters of Windows.
fn make_sentiment(sandbox: &Sandbox) {
    let told = [("neg", ["dull", "tired", "clich\u{e9}s"]), ("pos", ["bright", "funny", "\"superb\""])];
    for (file, words) in told {
        let sentence = |number: usize| {
            let word = |place: usize| words[(number / 3_usize.pow(place as u32)) % 3];
            format!("the film , number {number} , is {} and {} and {} . \n", word(0), word(1), word(2))
        };
        let text: String = (0..100).map(sentence).collect();
        let bytes: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
        sandbox.write(sandbox.root().join("source").join(format!("rt-polarity.{file}")), bytes);
    }
}

fn cut_sentiment(sandbox: &Sandbox, folder: &Path) {
    for (file, lines) in [("train.csv", 601), ("test.csv", 101)] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let cut: String = text.split_inclusive('\n').take(lines).collect();
        sandbox.write(sandbox.root().join("source").join(file), cut);
    }
}

/// As a clone of the data set's repository: images of several sizes in folders of folders.
fn make_grocery(sandbox: &Sandbox) {
    let classes = [
        ("Fruit/Apple/Royal-Gala", 0),
        ("Fruit/Banana", 1),
        ("Fruit/Kiwi", 2),
        ("Fruit/Orange", 3),
        ("Fruit/Pear/Anjou", 4),
        ("Packages/Juice/Bravo", 5),
        ("Packages/Milk/Arla", 6),
        ("Vegetables/Pepper/Green", 7),
        ("Vegetables/Potato/Sweet", 8),
        ("Vegetables/Tomato/Vine", 9),
    ];
    for (part, count) in [("train", 10), ("val", 1), ("test", 2)] {
        for (class, label) in classes {
            for number in 0..count {
                let (width, height) = (40 + 4 * (number as u32 % 2), 40);
                let bytes = pixels(number * 10 + label, label, 10, (width * height * 3) as usize);
                let path = format!("source/dataset/{part}/{class}/Image_{number:03}.jpg");
                let path = sandbox.root().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                image::save_buffer(&path, &bytes, width, height, image::ExtendedColorType::Rgb8).unwrap();
            }
        }
    }
}

fn cut_grocery(sandbox: &Sandbox, folder: &Path) {
    for (part, count) in [("train", 10), ("test", 3)] {
        for class in fs::read_dir(folder.join(part)).unwrap() {
            let class = class.unwrap();
            let mut images: Vec<_> = fs::read_dir(class.path()).unwrap().map(|image| image.unwrap().path()).collect();
            images.sort();
            for image in images.iter().take(count) {
                let place = Path::new("source").join(part).join(class.file_name()).join(image.file_name().unwrap());
                sandbox.write(sandbox.root().join(place), fs::read(image).unwrap());
            }
        }
    }
}
