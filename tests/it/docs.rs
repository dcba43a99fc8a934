//! What the documentation shows works.

use std::path::Path;

use git_ml::config::Config;
use git_ml::train::Recipe;

#[test]
fn the_recipes_in_the_documentation_are_valid() {
    let mut native = 0;
    for page in ["docs/ml-toml.md", "docs/data.md", "docs/logging.md", "docs/sharing.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        let blocks: Vec<&str> = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(!blocks.is_empty(), "{page} shows no recipe");
        for block in blocks {
            let config = Config::parse(block, &path).unwrap_or_else(|error| panic!("{error}:\n{block}"));
            for experiment in config.experiments.values().filter(|experiment| experiment.command.is_none()) {
                Recipe::new(experiment, &[]).unwrap_or_else(|error| panic!("{error}:\n{block}"));
                native += 1;
            }
        }
    }
    assert_eq!(native, 4);
}

#[test]
fn the_defaults_in_the_documentation_are_the_ones_of_the_code() {
    let page = include_str!("../../docs/ml-toml.md");
    for model in ["cnn", "mlp"] {
        let text = format!("[experiments.x]\nmodel = \"{model}\"\ndata = \"data/x\"\n");
        let config = Config::parse(&text, Path::new("ml.toml")).unwrap();
        let recipe = Recipe::new(&config.experiments["x"], &[]).unwrap();
        for (key, value) in recipe.params().into_iter().filter(|(key, _)| key != "model" && key != "data") {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{key}` | ")));
            let row = row.unwrap_or_else(|| panic!("docs/ml-toml.md lacks `{key}`"));
            let default = row.split(" | ").nth(1).unwrap();
            // Where the models differ, the cell says which has which: "`cnn`: 128, `mlp`: [256, 128]".
            let own = default.split(&format!("`{model}`: ")).nth(1).unwrap_or(default);
            let own = own.split(", `").next().unwrap().replace(['`', '[', ']', ' '], "");
            assert_eq!(own, value, "`{key}` of {model}");
        }
    }
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
    for query in queries {
        git_ml::query::Query::parse(query).unwrap_or_else(|error| panic!("{error}: {query}"));
    }
}
