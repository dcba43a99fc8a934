//! Setting up a repository: `ml.toml`, hooks, pointer drivers, and templates of whole projects.
