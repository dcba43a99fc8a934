//! Where credentials are found: in the environment, and in the files of the providers' own tools.
//!
//! Architecture invariant: no credential leaves this file but into the client that uses it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

use super::Environment;

/// What the environment and the profiles of Amazon's tools say. Without any of it the machine's own role counts.
pub(super) fn amazon(builder: AmazonS3Builder, environment: &Environment) -> Result<AmazonS3Builder, String> {
    let profile = Profile::load(environment)?;
    let mut builder = builder;
    for (key, name) in [
        (AmazonS3ConfigKey::AccessKeyId, "aws_access_key_id"),
        (AmazonS3ConfigKey::SecretAccessKey, "aws_secret_access_key"),
        (AmazonS3ConfigKey::Token, "aws_session_token"),
        (AmazonS3ConfigKey::Region, "region"),
        (AmazonS3ConfigKey::Endpoint, "endpoint_url"),
        (AmazonS3ConfigKey::RoleArn, "role_arn"),
        (AmazonS3ConfigKey::WebIdentityTokenFile, "web_identity_token_file"),
    ] {
        let is_credential = name.starts_with("aws_");
        // A key of the environment does not go with a token of a profile.
        if is_credential && environment.variable("AWS_ACCESS_KEY_ID").is_some() {
            continue;
        }
        if let Some(value) = profile.value(name) {
            builder = builder.with_config(key, value);
        }
    }
    let has_keys = profile.value("aws_access_key_id").is_some() || environment.variable("AWS_ACCESS_KEY_ID").is_some();
    if let Some(way) = profile.unsupported().filter(|_| !has_keys) {
        let pass_on = "`eval \"$(aws configure export-credentials --format env)\"` passes them on";
        return Err(format!("the profile `{}` uses {way}; {pass_on}", profile.name));
    }
    let pair = [AmazonS3ConfigKey::AccessKeyId, AmazonS3ConfigKey::SecretAccessKey];
    for (name, value) in environment.starting_with("AWS_") {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    match pair.map(|key| builder.get_config_value(&key).is_some()) {
        [true, false] => Err("there is an AWS_ACCESS_KEY_ID and no AWS_SECRET_ACCESS_KEY".to_owned()),
        [false, true] => Err("there is an AWS_SECRET_ACCESS_KEY and no AWS_ACCESS_KEY_ID".to_owned()),
        _ => Ok(builder),
    }
}

/// What the environment says, and the credentials that `gcloud auth application-default login` leaves.
pub(super) fn google(builder: GoogleCloudStorageBuilder, environment: &Environment) -> GoogleCloudStorageBuilder {
    let mut builder = builder;
    let default = environment.home().map(|home| home.join(".config/gcloud/application_default_credentials.json"));
    let named = ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"];
    let is_named = named.iter().any(|name| environment.variable(name).is_some());
    if let Some(path) = default.filter(|path| !is_named && path.is_file()) {
        builder = builder.with_application_credentials(path.to_string_lossy());
    }
    for (name, value) in environment.starting_with("GOOGLE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

/// What the environment says.
pub(super) fn azure(builder: MicrosoftAzureBuilder, environment: &Environment) -> MicrosoftAzureBuilder {
    let mut builder = builder;
    for (name, value) in environment.starting_with("AZURE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

/// A profile of Amazon's tools. No `Debug`: it holds secrets.
struct Profile {
    name: String,
    values: BTreeMap<String, String>,
}

impl Profile {
    fn load(environment: &Environment) -> Result<Self, String> {
        let named = environment.variable("AWS_PROFILE").or_else(|| environment.variable("AWS_DEFAULT_PROFILE"));
        let name = named.unwrap_or("default").to_owned();
        let file = |variable: &str, default: &str| {
            let given = environment.variable(variable).map(PathBuf::from);
            given.or_else(|| Some(environment.home()?.join(".aws").join(default)))
        };
        let read = |path: Option<PathBuf>| path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let config = read(file("AWS_CONFIG_FILE", "config"));
        let credentials = read(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
        let mut values = section(&config, &format!("profile {name}"));
        if name == "default" {
            values.extend(section(&config, "default"));
        }
        values.extend(section(&credentials, &name));
        let has_own = environment.variable("AWS_ACCESS_KEY_ID").is_some();
        if values.is_empty() && named.is_some() && !has_own {
            return Err(format!("there is no profile `{name}` in ~/.aws"));
        }
        Ok(Self { name, values })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A way to credentials that needs Amazon's own tools.
    fn unsupported(&self) -> Option<&'static str> {
        let has = |name: &str| self.value(name).is_some();
        match () {
            () if has("credential_process") => Some("a program (credential_process)"),
            () if has("sso_session") || has("sso_start_url") => Some("single sign-on"),
            () if has("source_profile") || has("credential_source") => Some("a role of another profile"),
            () => None,
        }
    }
}

/// The keys of a section of a file of Amazon's tools. Lines that are indented belong to the key before them.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut is_in = false;
    for line in text.lines() {
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(heading) = line.trim().strip_prefix('[') {
            let heading = heading.split(']').next().unwrap_or_default();
            is_in = heading.split_whitespace().collect::<Vec<_>>().join(" ") == name;
        } else if let (true, Some((key, value))) = (is_in, line.split_once('=')) {
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Durability, create_dir_all, publish};

    fn environment(variables: &[(&str, &str)], home: Option<PathBuf>) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())), home)
    }

    fn chosen(environment: &Environment, key: AmazonS3ConfigKey) -> Option<String> {
        amazon(AmazonS3Builder::new(), environment).unwrap().get_config_value(&key)
    }

    #[test]
    fn amazons_chain_is_followed() {
        let home = tempfile::tempdir().unwrap();
        create_dir_all(&home.path().join(".aws")).unwrap();
        let write = |name: &str, text: &str| {
            publish(&home.path().join(".aws").join(name), text.as_bytes(), Durability::Buffered).unwrap();
        };
        write(
            "credentials",
            "# mine\n[default]\naws_access_key_id = FILE\naws_secret_access_key=secret\naws_session_token = token\n\
             [other]\naws_access_key_id=OTHER\naws_secret_access_key=secret\n",
        );
        write(
            "config",
            "[default]\nregion = eu-west-1\ns3 =\n  region = nested\n[profile other]\nregion=us-west-2\n\
             [profile desk]\nsso_session = work\n",
        );
        let home = Some(home.path().to_path_buf());
        let from_file = environment(&[], home.clone());
        assert_eq!(chosen(&from_file, AmazonS3ConfigKey::AccessKeyId).as_deref(), Some("FILE"));
        assert_eq!(chosen(&from_file, AmazonS3ConfigKey::Region).as_deref(), Some("eu-west-1"));
        let other = environment(&[("AWS_PROFILE", "other")], home.clone());
        assert_eq!(chosen(&other, AmazonS3ConfigKey::AccessKeyId).as_deref(), Some("OTHER"));
        assert_eq!(chosen(&other, AmazonS3ConfigKey::Region).as_deref(), Some("us-west-2"));
        let own = environment(&[("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "x")], home.clone());
        assert_eq!(chosen(&own, AmazonS3ConfigKey::AccessKeyId).as_deref(), Some("ENV"));
        assert_eq!(chosen(&own, AmazonS3ConfigKey::Token), None, "the token belongs to the file's key");
        for (profile, problem) in [("desk", "single sign-on"), ("absent", "no profile `absent`")] {
            let told = amazon(AmazonS3Builder::new(), &environment(&[("AWS_PROFILE", profile)], home.clone()));
            assert!(told.unwrap_err().contains(problem), "{profile}");
        }
    }

    #[test]
    fn the_environment_is_shown_without_its_values() {
        let secret = environment(&[("AWS_SECRET_ACCESS_KEY", "hunter2")], None);
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
