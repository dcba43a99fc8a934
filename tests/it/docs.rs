//! What the documentation shows works.

use std::path::Path;

use git_ml::config::Config;
use git_ml::query::Requirement;
use git_ml::train::Recipe;

#[test]
fn the_recipes_in_the_documentation_are_valid() {
    let (mut native, mut conditions) = (0, 0);
    let pages = ["ml-toml", "data", "training", "models", "logging", "sharing", "ci", "hooks"];
    for page in pages.map(|page| format!("docs/{page}.md")) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&page);
        let text = std::fs::read_to_string(&path).unwrap();
        let blocks: Vec<&str> = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(!blocks.is_empty(), "{page} shows no recipe");
        for block in blocks {
            let config = Config::parse(block, &path).unwrap_or_else(|error| panic!("{error}:\n{block}"));
            for condition in config.gates.values().flat_map(|gate| &gate.require) {
                Requirement::parse(condition).unwrap_or_else(|error| panic!("{error}: {condition}"));
                conditions += 1;
            }
            for experiment in config.experiments.values().filter(|experiment| experiment.command.is_none()) {
                Recipe::new(experiment, &[]).unwrap_or_else(|error| panic!("{error}:\n{block}"));
                native += 1;
            }
        }
    }
    assert!(native > 4 && conditions > 4, "{native}, {conditions}");
}

#[test]
fn the_defaults_in_the_documentation_are_the_ones_of_the_code() {
    let page = concat!(include_str!("../../docs/ml-toml.md"), include_str!("../../docs/training.md"));
    let gradient = ["cnn", "mlp", "resnet18", "resnet50"];
    let direct = ["naive-bayes", "logistic-regression", "label-propagation", "label-spreading", "majority"];
    for model in gradient.into_iter().chain(direct) {
        let text = format!("[experiments.x]\nmodel = \"{model}\"\ndata = \"data/x\"\n");
        let config = Config::parse(&text, Path::new("ml.toml")).unwrap();
        let recipe = Recipe::new(&config.experiments["x"], &[]).unwrap();
        for (key, value) in recipe.params().into_iter().filter(|(key, _)| key != "model" && key != "data") {
            let told = default_of(page, &key, model).unwrap_or_else(|| panic!("the documentation lacks `{key}`"));
            let numbers = (told.parse::<f64>(), value.parse::<f64>());
            let is_same = matches!(numbers, (Ok(told), Ok(own)) if told == own) || told == value;
            assert!(is_same, "`{key}` of {model} is {value}, not {told}");
        }
    }
}

/// The default of a key in the tables of a page. A row may have several keys with their defaults in the same order; where
/// the models differ, the cell says which has which: "`cnn`: 128, `mlp`: [256, 128]".
fn default_of(page: &str, key: &str, model: &str) -> Option<String> {
    let rows = page.lines().filter(|line| line.starts_with("| `")).map(|line| line.split(" | ").collect::<Vec<_>>());
    rows.filter(|cells| cells.len() == 3).find_map(|cells| {
        let keys: Vec<_> = cells[0].trim_start_matches("| ").split(", ").map(|key| key.replace('`', "")).collect();
        let position = keys.iter().position(|other| other == key)?;
        let own = cells[1].split(&format!("`{model}`: ")).nth(1).map(|rest| rest.split(", `").next());
        let default = match own {
            Some(own) => own?,
            None if keys.len() > 1 => cells[1].split(", ").nth(position)?,
            None => cells[1],
        };
        Some(default.replace(['`', '[', ']', ' '], ""))
    })
}

#[test]
fn the_queries_in_the_documentation_are_valid() {
    let pages = [include_str!("../../docs/queries.md"), include_str!("../../README.md")];
    let queries: Vec<&str> = pages
        .iter()
        .flat_map(|page| page.split("--where \"").skip(1).map(|rest| rest.split("\" --").next().unwrap()))
        .map(|rest| rest.split("\"\n").next().unwrap())
        .collect();
    assert!(queries.len() >= 3);
    let of_versions = include_str!("../../docs/registry.md").split("--where \"").skip(1);
    for query in of_versions.map(|rest| rest.split("\"\n").next().unwrap()) {
        git_ml::query::Query::parse_versions(query).unwrap_or_else(|error| panic!("{error}: {query}"));
    }
    for query in queries {
        git_ml::query::Query::parse(query).unwrap_or_else(|error| panic!("{error}: {query}"));
    }
}
