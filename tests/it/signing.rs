//! Signatures and attestations: other people's programs confirm ours, and we theirs; and what is not right is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use git_ml::id::Digest;
use serde_json::{Value, json};

use crate::sandbox::{Output, Sandbox};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A repository with a model, and somebody with an SSH key.
struct Desk {
    sandbox: Sandbox,
}

impl Desk {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("model/weights.bin", crate::sandbox::noise(1, 300_000));
        sandbox.write("model/sub/config.json", "{\"layers\": 3}\n");
        // Whoever sorts these by bytes has another order than whoever sorts by folders.
        sandbox.write("model/a-b", "x");
        sandbox.write("model/a/z", "y");
        sandbox.write("model/empty", "");
        sandbox.git_ml(&["track", "model", "--type", "model"]).success();
        sandbox.commit("A model");
        let desk = Self { sandbox };
        desk.ssh_key("id", "ed25519");
        desk.config("gpg.format", "ssh");
        desk.config("user.signingkey", "~/id.pub");
        desk
    }

    fn config(&self, key: &str, value: &str) {
        self.sandbox.git(&["config", "--global", key, value]).success();
    }

    fn home(&self, name: &str) -> PathBuf {
        self.sandbox.home().join(name)
    }

    fn shell(&self, line: &str) -> Output {
        self.sandbox.shell(&format!("cd ~ && {line}"))
    }

    /// Makes an SSH key in the home folder.
    fn ssh_key(&self, name: &str, kind: &str) {
        self.shell(&format!("ssh-keygen -q -t {kind} -N '' -C {name} -f {name}")).success();
    }

    /// Makes an elliptic-curve key in the home folder, as OpenSSL writes it.
    fn curve_key(&self, name: &str, curve: &str) {
        let line = format!(
            "openssl ecparam -genkey -name {curve} -noout -out {name}.pem && \
             openssl ec -in {name}.pem -pubout -out {name}.pub"
        );
        self.shell(&line).success();
    }

    /// The type and the content of an SSH key in the home folder.
    fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.home(&format!("{name}.pub"))).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Lets these lines say who may sign; `KEY` in them is the first SSH key.
    fn allow(&self, lines: &str) {
        fs::write(self.home("allowed"), lines.replace("KEY", &self.public("id"))).unwrap();
        self.config("gpg.ssh.allowedSignersFile", "~/allowed");
    }

    fn sign(&self, arguments: &[&str]) -> Output {
        self.sandbox.git_ml(&[&["sign"], arguments].concat())
    }

    fn list(&self, target: &str) -> Vec<Value> {
        self.sign(&["--list", "--json", target]).success().json().as_array().unwrap().clone()
    }

    /// What comes of the only signature of a target, and why.
    fn outcome(&self, target: &str) -> (String, String) {
        let list = self.list(target);
        assert_eq!(list.len(), 1, "{list:?}");
        let word = |name: &str| list[0][name].as_str().unwrap_or_default().to_owned();
        (word("outcome"), word("detail"))
    }

    /// The files in `refs/ml/signatures`, by their paths.
    fn kept(&self) -> Vec<String> {
        let list = self.sandbox.git(&["ls-tree", "-r", "--name-only", "refs/ml/signatures"]).success().stdout();
        list.lines().map(str::to_owned).collect()
    }

    fn kept_file(&self, path: &str) -> Vec<u8> {
        let output = self.sandbox.git(&["cat-file", "blob", &format!("refs/ml/signatures:{path}")]).success();
        output.stdout_bytes().to_vec()
    }

    /// Replaces all of `refs/ml/signatures` by these files, as no git-ml does it.
    fn plant(&self, files: &[(&str, &[u8])]) {
        self.plant_at("refs/ml/signatures", files);
    }

    fn plant_at(&self, reference: &str, files: &[(&str, &[u8])]) {
        let mut script =
            format!("commit {reference}\ncommitter Eve <eve@example.com> 1700000000 +0000\ndata 0\n").into_bytes();
        for (path, content) in files {
            script.extend_from_slice(format!("M 100644 inline {path}\ndata {}\n", content.len()).as_bytes());
            script.extend_from_slice(content);
            script.push(b'\n');
        }
        self.sandbox.git(&["update-ref", "-d", reference]).success();
        let mut command = self.sandbox.command("git");
        command.args(["fast-import", "--quiet", "--force"]);
        self.sandbox.run_with_input(command, &script).success();
    }

    fn artifact(&self) -> String {
        self.sandbox.git_ml(&["status", "--json"]).success().json()["artifacts"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Makes a run with a model, and the model's first version.
    fn train(&self) {
        let script = "mkdir -p out && echo weights > out/w.bin && echo conf > out/c.txt && git ml output out --name model \
                      --type model && git ml metric test_accuracy=0.97 loss=0.5 --step 3 && git ml param seed=7";
        self.sandbox.git_ml(&["-q", "run", "--name", "first", "-p", "lr=0.1", "--", "sh", "-c", script]).success();
        self.sandbox.git_ml(&["model", "register", "run:first:model", "--name", "digits"]).success();
    }
}

/// Where something about an artifact belongs in the ref.
fn place(artifact: &str, content: &[u8], suffix: &str) -> String {
    format!("artifacts/{}/{artifact}/{}.{suffix}", &artifact[..2], Digest::of(content))
}

#[test]
fn an_ssh_signature_is_confirmed_by_ssh_keygen_alone() {
    let desk = Desk::new();
    desk.allow("ada@example.com namespaces=\"git-ml\" KEY\n");
    desk.sign(&["model", "-o", "../model.sig"]).success();
    let verify = "ssh-keygen -Y verify -n git-ml -f ~/allowed -I ada@example.com -s ../model.sig";
    let told = desk.sandbox.shell(&format!("{verify} < ../model.sig.statement")).success();
    assert!(told.stdout().starts_with("Good \"git-ml\" signature for ada@example.com with ED25519 key"), "{told}");
    let statement = fs::read_to_string(desk.sandbox.root().join("model.sig.statement")).unwrap();
    let lines: Vec<&str> = statement.lines().collect();
    let artifact = format!("artifact {}", desk.artifact());
    assert_eq!(lines[..6], ["git-ml statement 1", &artifact, "name model", "type model", "files 5", "bytes 300016"]);
    // The statement names the digest of the list of files that stands beside it.
    let manifest = fs::read(desk.sandbox.root().join("model.sig.manifest")).unwrap();
    assert_eq!(Digest::of(&manifest).to_string(), desk.artifact());

    for from in ["bytes 300016", "model", "artifact "] {
        let forged = statement.replacen(from, &from.replace(['6', 'o', ' '], "0"), 1);
        assert_ne!(forged, statement);
        fs::write(desk.home("forged"), forged).unwrap();
        desk.sandbox.shell(&format!("{verify} < ~/forged")).code(255);
    }
    assert_eq!(desk.outcome("model"), ("good".to_owned(), String::new()));
    assert_eq!(desk.list("model")[0]["signer"], "ada@example.com");

    // A second time says nothing new, and changes nothing.
    let before = desk.kept();
    let again = desk.sign(&["model", "--json"]).success().json();
    assert_eq!((again["new"].clone(), desk.kept()), (json!(false), before));
    // The file is checked like what is kept, and one byte is enough.
    desk.sign(&["model", "--check", "../model.sig"]).success();
    desk.sandbox.write("model/a/z", "Y");
    desk.sandbox.git_ml(&["track", "model"]).success();
    let told = desk.sign(&["model", "--check", "../model.sig"]).code(3);
    assert!(told.stdout().starts_with("mismatch: the signature of model by ada@example.com: it is about"), "{told}");
    assert_eq!(desk.list("model"), Vec::<Value>::new());
}

#[test]
fn only_the_users_own_configuration_makes_a_signature_good() {
    let desk = Desk::new();
    desk.ssh_key("other", "ecdsa");
    desk.sign(&["model"]).success();
    let outcome = |lines: &str| {
        desk.allow(lines);
        desk.outcome("model").0
    };
    assert_eq!(desk.outcome("model").0, "unknown-signer");
    let other = format!("bob@example.com {}\n", desk.public("other"));
    assert_eq!(outcome(&other), "unknown-signer");
    assert_eq!(outcome(&format!("{other}# comment\n\nada@example.com KEY\n")), "good");
    assert_eq!(outcome("*@example.com,bob KEY\n"), "good");
    assert_eq!(outcome("ada valid-after=\"20200101\",valid-before=\"20990101\" KEY\n"), "good");
    assert_eq!(outcome("ada valid-before=\"20200101\" KEY\n"), "expired");
    assert_eq!(outcome("ada valid-after=\"20990101\" KEY\n"), "not-yet-valid");
    assert_eq!(outcome("ada namespaces=\"git,file\" KEY\n"), "unknown-signer");
    assert!(desk.outcome("model").1.contains("trusted for `git,file`"));
    // An old line does not hide the new one.
    assert_eq!(outcome("old valid-before=\"20200101\" KEY\nnew namespaces=\"git-ml\" KEY\n"), "good");

    desk.allow("ada@example.com KEY\n");
    desk.shell("cp id.pub revoked").success();
    desk.config("gpg.ssh.revocationFile", "~/revoked");
    assert_eq!(desk.outcome("model").0, "revoked");
    desk.config("gpg.ssh.revocationFile", "~/nothing");
    desk.sign(&["--list", "model"]).one_line_error();
    desk.sandbox.git(&["config", "--global", "--unset", "gpg.ssh.revocationFile"]).success();

    // OpenSSH before 9.1 does not know the mark of a time in UTC.
    let old = "#!/bin/sh\ncase \"$*\" in *verify-time=*Z*) echo 'Invalid \"verify-time\" option' >&2; exit 255;; esac\n\
        exec ssh-keygen \"$@\"\n";
    desk.sandbox.write_program(desk.home("old-keygen"), old);
    desk.config("gpg.ssh.program", "~/old-keygen");
    assert_eq!(outcome("ada valid-before=\"20990101\" KEY\n"), "good");
    assert_eq!(outcome("ada valid-before=\"20200101\" KEY\n"), "expired");
    desk.sandbox.git(&["config", "--global", "--unset", "gpg.ssh.program"]).success();

    // What lies in the repository says nothing as long as the user does not choose it.
    desk.sandbox.git(&["config", "--global", "--unset", "gpg.ssh.allowedSignersFile"]).success();
    fs::copy(desk.home("allowed"), desk.sandbox.path(".allowed_signers")).unwrap();
    assert_eq!(desk.outcome("model").0, "unknown-signer");
    desk.config("gpg.ssh.allowedSignersFile", "~/nothing");
    let told = desk.sign(&["--list", "model"]).one_line_error();
    assert!(told.stderr().contains("gpg.ssh.allowedSignersFile of git's configuration names"), "{told}");
}

#[test]
fn what_was_planted_is_told_from_what_was_signed() {
    let desk = Desk::new();
    desk.allow("ada@example.com KEY\n");
    desk.sandbox.write("other.txt", "other\n");
    desk.sandbox.git_ml(&["track", "other.txt"]).success();
    desk.sign(&["other.txt"]).success();
    let good = desk.kept_file(&desk.kept()[0]);
    let artifact = desk.artifact();
    let outcome = |content: &[u8]| {
        desk.plant(&[(&place(&artifact, content, "ssh"), content)]);
        desk.outcome("model")
    };
    // Somebody moves a good signature to something else, or says that it is about that.
    assert_eq!(outcome(&good).0, "mismatch");
    let text = String::from_utf8(good.clone()).unwrap();
    let other = text.lines().find_map(|line| line.strip_prefix("artifact ")).unwrap();
    assert_eq!(outcome(text.replace(other, &artifact).as_bytes()).0, "bad-signature");
    assert_eq!(outcome(b"").0, "unreadable");
    assert_eq!(outcome(text.split("-----BEGIN").next().unwrap().as_bytes()).0, "unreadable");
    assert_eq!(outcome(&[good.as_slice(), b"more"].concat()).0, "unreadable");
    assert_eq!(outcome(&vec![b'x'; 70_000]).0, "unreadable");
    // A signature for something else than git ml, by the same key.
    desk.shell("printf 'git-ml statement 1\\n' > s && ssh-keygen -q -Y sign -n file -f id s").success();
    let foreign = fs::read_to_string(desk.home("s.sig")).unwrap();
    let statement = text.split("-----BEGIN").next().unwrap().replace(other, &artifact);
    let (word, why) = outcome(format!("{statement}{foreign}").as_bytes());
    assert_eq!((word.as_str(), why.as_str()), ("bad-signature", "it was made for `file`, not for `git-ml`"));
    // One dated far ahead, by whoever may sign.
    let ahead = format!("git-ml statement 1\nartifact {artifact}\nname m\ntype model\nfiles 5\nbytes 300016\n");
    fs::write(desk.home("ahead"), format!("{ahead}signed 2099-01-01T00:00:00Z\n")).unwrap();
    desk.shell("ssh-keygen -q -Y sign -n git-ml -f id ahead").success();
    let ahead = fs::read(desk.home("ahead")).unwrap();
    let armour = fs::read(desk.home("ahead.sig")).unwrap();
    assert_eq!(outcome(&[ahead, armour].concat()).0, "not-yet-valid");
    // A file that is not what its name says.
    desk.plant(&[(&place(&artifact, b"else", "ssh"), &good)]);
    assert_eq!(desk.outcome("model"), ("unreadable".to_owned(), "its content is not what its name says".to_owned()));
    // Bundles of any kind.
    for hostile in [
        "{}",
        "[[[[[[[[",
        "{\"mediaType\": \"application/vnd.dev.sigstore.bundle.v0.3+json\"}",
        "{\"mediaType\": \"text/html\", \"verificationMaterial\": {}, \"dsseEnvelope\": {\"payload\": \"\", \
          \"payloadType\": \"application/vnd.in-toto+json\", \"signatures\": []}}",
    ] {
        desk.plant(&[(&place(&artifact, hostile.as_bytes(), "sigstore.json"), hostile.as_bytes())]);
        assert_eq!(desk.outcome("model").0, "unreadable", "{hostile}");
    }
}

#[test]
fn a_key_that_the_agent_has_signs_too() {
    let desk = Desk::new();
    let agent = Agent::start(&desk);
    let mut desk = desk;
    desk.sandbox.set_env("SSH_AUTH_SOCK", agent.socket.to_str().unwrap());
    desk.shell("ssh-add -q id && mv id gone").success();
    desk.allow("ada@example.com KEY\n");
    desk.config("user.signingkey", &format!("key::{}", desk.public("id")));
    desk.sign(&["model"]).success();
    assert_eq!(desk.outcome("model").0, "good");
    // The same through the command that git asks for a key.
    desk.plant(&[]);
    desk.sandbox.git(&["config", "--global", "--unset", "user.signingkey"]).success();
    desk.config("gpg.ssh.defaultKeyCommand", "echo key::$(cat ~/id.pub)");
    desk.sign(&["model"]).success();
    assert_eq!(desk.outcome("model").0, "good");
    // Nobody has this one.
    desk.ssh_key("other", "ed25519");
    desk.config("user.signingkey", &format!("key::{}", desk.public("other")));
    let told = desk.sign(&["model"]).one_line_error();
    assert!(told.stderr().contains("`ssh-keygen` did not sign"), "{told}");
    // Nothing is left of what was written for the program.
    assert_eq!(fs::read_dir(desk.sandbox.path(".git/ml/signing")).unwrap().count(), 0);
}

/// A running `ssh-agent`. Dropping it ends it.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(desk: &Desk) -> Self {
        let socket = desk.home("agent");
        let mut command = desk.sandbox.command("ssh-agent");
        let child = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while !socket.exists() {
            assert!(start.elapsed() < PATIENCE, "ssh-agent did not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, socket }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_key_that_cannot_sign_is_refused_with_a_way_out() {
    let desk = Desk::new();
    desk.curve_key("k", "prime256v1");
    desk.curve_key("p521", "secp521r1");
    desk.shell("openssl pkcs8 -topk8 -in k.pem -passout pass:secret -out locked.pem && echo hello > words").success();
    desk.shell("openssl ec -in k.pem -aes256 -passout pass:secret -out locked-ec.pem").success();
    for (key, words) in [
        ("locked.pem", "is encrypted"),
        ("locked-ec.pem", "is encrypted"),
        ("k.pub", "it is a public key, and only a private one signs"),
        ("p521.pem", "it is neither a P-256 nor a P-384 key"),
        ("words", "it is neither an SSH key nor an elliptic-curve key in PEM"),
        ("nothing", "cannot read"),
    ] {
        let path = desk.home(key);
        let told = desk.sign(&["model", "--key", path.to_str().unwrap()]).one_line_error();
        assert!(told.stderr().contains(words), "{key}: {told}");
    }
    desk.shell("cp id open && cp id.pub open.pub && chmod 644 open").success();
    let told = desk.sign(&["model", "--key", desk.home("open").to_str().unwrap()]).one_line_error();
    assert!(told.stderr().contains("are too open") && told.stderr().contains("chmod 600"), "{told}");
    // As the hint has it: the key is opened for one command and never on the disk.
    let line = "git ml sign ../repo/model --key <(openssl pkey -in ~/locked.pem -passin pass:secret)";
    desk.sandbox.shell(&format!("cd ~/../repo && bash -c '{}'", line.replace("../repo/", ""))).success();
    desk.sandbox.git(&["config", "--global", "--unset", "gpg.format"]).success();
    desk.config("user.signingkey", "0xDEADBEEF");
    let told = desk.sign(&["model"]).one_line_error();
    assert!(told.stderr().contains("user.signingkey is `0xDEADBEEF`, which is no SSH key"), "{told}");
    desk.sandbox.git(&["config", "--global", "--unset", "user.signingkey"]).success();
    desk.sign(&["model"]).one_line_error();
    desk.config("gpg.ssh.program", "no-such-program");
    let path = desk.home("id");
    let told = desk.sign(&["model", "--key", path.to_str().unwrap()]).one_line_error();
    assert!(told.stderr().contains("cannot run `no-such-program`"), "{told}");
}

#[test]
fn a_private_key_leaves_no_trace() {
    let desk = Desk::new();
    desk.curve_key("k", "prime256v1");
    desk.train();
    let key = desk.home("k.pem");
    let key = key.to_str().unwrap();
    for arguments in [&["sign", "model", "--key", key, "-v"][..], &["attest", "first", "--key", key, "--json"]] {
        let said = desk.sandbox.git_ml(arguments).success();
        let pem = fs::read_to_string(key).unwrap();
        let secret = pem.lines().nth(1).unwrap();
        assert!(!said.stdout().contains(secret) && !said.stderr().contains(secret), "{said}");
        let found = desk.sandbox.shell(&format!(
            "git cat-file --batch-all-objects --batch | grep -c '{secret}'; \
             grep -r -l '{secret}' .git"
        ));
        assert_eq!(found.stdout().trim(), "0", "{found}");
    }
}

/// The Python that has model_signing and CycloneDX's validator; none where it is not installed, which is said.
fn peers() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/model-signing");
    let output = Command::new(&script).arg("python").output().unwrap();
    if !output.status.success() {
        eprintln!("skipped: model_signing is not installed (`scripts/model-signing install`)");
        return None;
    }
    Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()))
}

/// Runs `model_signing` in the repository.
fn model_signing(desk: &Desk, python: &Path, arguments: &[&str]) -> Output {
    let mut command = desk.sandbox.command(python);
    command.args(["-m", "model_signing"]).args(arguments);
    desk.sandbox.run(command)
}

#[test]
fn model_signing_confirms_ours_and_we_confirm_theirs() {
    let Some(python) = peers() else { return };
    let desk = Desk::new();
    // It looks at neither of these, nor do we sign them then.
    desk.sandbox.write("model/.gitattributes", "*.bin binary\n");
    desk.sandbox.write("model/.github/x", "x");
    desk.sandbox.git_ml(&["track", "model"]).success();
    for (key, curve) in [("k256", "prime256v1"), ("k384", "secp384r1")] {
        desk.curve_key(key, curve);
        let (private, public) = (desk.home(&format!("{key}.pem")), desk.home(&format!("{key}.pub")));
        let (private, public) = (private.to_str().unwrap(), public.to_str().unwrap());
        desk.sandbox.write("model/a/z", "y");
        desk.sandbox.git_ml(&["track", "model"]).success();

        desk.sign(&["model", "--key", private, "-o", "../ours.sig"]).success();
        let verify = ["verify", "key", "--signature", "../ours.sig", "--public_key", public, "model"];
        model_signing(&desk, &python, &verify).success();
        desk.config("ml.trustedKeys", public);
        assert_eq!(desk.outcome("model").0, "good");

        let sign = ["sign", "key", "--private_key", private, "--signature", "../theirs.sig", "model"];
        model_signing(&desk, &python, &sign).success();
        desk.sign(&["model", "--check", "../theirs.sig"]).success();
        desk.sign(&["model", "--attach", "../theirs.sig"]).success();
        let outcomes: Vec<Value> = desk.list("model").iter().map(|signature| signature["outcome"].clone()).collect();
        assert_eq!(outcomes, ["good", "good"]);

        // One byte, and both say no.
        desk.sandbox.write("model/a/z", "Y");
        model_signing(&desk, &python, &verify).code(1);
        desk.sandbox.git_ml(&["track", "model"]).success();
        for file in ["../ours.sig", "../theirs.sig"] {
            let told = desk.sign(&["model", "--deep", "--check", file]).code(3);
            assert!(told.stdout().starts_with("mismatch: "), "{told}");
        }
        let told = desk.sign(&["model", "--attach", "../theirs.sig"]).one_line_error();
        assert!(told.stderr().contains("a/z is not what was signed"), "{told}");
        desk.plant(&[]);
        desk.sandbox.git(&["config", "--global", "--unset", "ml.trustedKeys"]).success();
    }
}

#[test]
fn signatures_over_shards_single_files_and_links_are_understood() {
    let Some(python) = peers() else { return };
    let desk = Desk::new();
    desk.curve_key("k", "prime256v1");
    let (private, public) = (desk.home("k.pem"), desk.home("k.pub"));
    let (private, public) = (private.to_str().unwrap(), public.to_str().unwrap());
    desk.config("ml.trustedKeys", public);
    let script = "import sys\nfrom model_signing import hashing, signing\n\
        config = hashing.Config()\n\
        config = config.use_shard_serialization(shard_size=100000) if sys.argv[1] == 'shards' else \
        config.use_file_serialization(hashing_algorithm=sys.argv[1])\n\
        signing.Config().use_elliptic_key_signer(private_key=sys.argv[2]).set_hashing_config(config)\
        .sign('model', sys.argv[3])\n";
    for kind in ["shards", "sha256", "blake3"] {
        let mut command = desk.sandbox.command(&python);
        command.args(["-c", script, kind, private, "../theirs.sig"]);
        desk.sandbox.run(command).success();
        let told = desk.sign(&["model", "--check", "../theirs.sig", "--json"]);
        assert_eq!(told.json()["outcome"], "good", "{kind}: {told}");
    }
    desk.sandbox.write("one.bin", crate::sandbox::noise(2, 1000));
    desk.sandbox.git_ml(&["track", "one.bin"]).success();
    desk.sign(&["one.bin", "--key", private, "-o", "../one.sig"]).success();
    let verify = ["verify", "key", "--signature", "../one.sig", "--public_key", public, "one.bin"];
    model_signing(&desk, &python, &verify).success();

    std::os::unix::fs::symlink("a/z", desk.sandbox.path("model/link")).unwrap();
    std::os::unix::fs::symlink("sub", desk.sandbox.path("model/folder")).unwrap();
    desk.sandbox.git_ml(&["track", "model"]).success();
    desk.sign(&["model", "--key", private, "-o", "../links.sig"]).success();
    let verify = ["verify", "key", "--allow_symlinks", "--signature", "../links.sig", "--public_key", public, "model"];
    model_signing(&desk, &python, &verify).success();
    std::os::unix::fs::symlink("nowhere", desk.sandbox.path("model/dangling")).unwrap();
    desk.sandbox.git_ml(&["track", "model"]).success();
    let told = desk.sign(&["model", "--key", private]).one_line_error();
    assert!(told.stderr().contains("dangling cannot be signed"), "{told}");
}

#[test]
fn an_attestation_follows_slsa_and_others_check_it() {
    let desk = Desk::new();
    desk.allow("ada@example.com namespaces=\"git-ml\" KEY\n");
    desk.curve_key("k", "prime256v1");
    desk.config("ml.trustedKeys", desk.home("k.pub").to_str().unwrap());
    desk.sandbox.git(&["remote", "add", "origin", "https://ada:secret@example.com/team/repo.git"]).success();
    desk.train();
    let run = desk.sandbox.git_ml(&["show", "first", "--json"]).success().json();
    desk.sandbox.git_ml(&["attest", "first", "-o", "../ssh.json"]).success();
    let key = desk.home("k.pem");
    desk.sandbox.git_ml(&["attest", "first", "--key", key.to_str().unwrap(), "-o", "../ec.json"]).success();
    let envelope =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(desk.sandbox.root().join(name)).unwrap()).unwrap() };
    let payload = STANDARD.decode(envelope("ssh.json")["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    assert!(!String::from_utf8(payload).unwrap().contains("secret"));
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["parameters"], json!({ "lr": "0.1", "seed": "7" }));
    assert_eq!(definition["externalParameters"]["command"][0], "sh");
    let code = &definition["resolvedDependencies"][0];
    assert_eq!(code["digest"], json!({ "gitCommit": run["snapshot"] }));
    assert_eq!(code["uri"], "git+https://example.com/team/repo.git");
    let details = &statement["predicate"]["runDetails"];
    assert_eq!(details["metadata"]["invocationId"], run["id"]);
    assert_eq!(details["metadata"]["startedOn"], run["started"]);
    assert_eq!(details["metadata"]["finishedOn"], run["ended"]);
    let subjects: Vec<&str> =
        statement["subject"].as_array().unwrap().iter().map(|subject| subject["name"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["model.manifest", "model/c.txt", "model/w.bin"]);
    let sha = desk.sandbox.shell("sha256sum < out/w.bin").success().stdout();
    assert_eq!(statement["subject"][2]["digest"]["sha256"], sha.split(' ').next().unwrap());
    let sha = desk.sandbox.shell("git ml manifest run:first:model | sha256sum").success().stdout();
    assert_eq!(statement["subject"][0]["digest"]["sha256"], sha.split(' ').next().unwrap());
    assert_eq!(statement["subject"][0]["digest"]["blake3"], run["outputs"][0]["id"]);

    // Others check what DSSE says is signed, with what they have.
    for (name, verify) in [
        ("ssh.json", "ssh-keygen -Y verify -n git-ml -f allowed -I ada@example.com -s sig.ssh < signed"),
        ("ec.json", "openssl dgst -sha256 -verify k.pub -signature sig signed"),
    ] {
        let envelope = envelope(name);
        let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        let kind = envelope["payloadType"].as_str().unwrap();
        let signed = [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), &payload].concat();
        let signature = STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
        fs::write(desk.home("signed"), &signed).unwrap();
        fs::write(desk.home("sig"), &signature).unwrap();
        let armour = "(echo '-----BEGIN SSH SIGNATURE-----'; base64 sig; echo '-----END SSH SIGNATURE-----') > sig.ssh";
        desk.shell(&format!("{armour} && {verify}")).success();
        fs::write(desk.home("signed"), [signed, b" ".to_vec()].concat()).unwrap();
        assert_ne!(desk.shell(verify).exit_code(), 0, "{name}");
    }
    let outcomes = |target: &str, deep: &[&str]| -> Vec<Value> {
        let list = desk.sign(&[&["--list", "--json", target], deep].concat()).success().json();
        list.as_array().unwrap().iter().map(|signature| signature["outcome"].clone()).collect()
    };
    assert_eq!(outcomes("digits@v1", &[]), ["good", "good"]);
    assert_eq!(outcomes("digits@v1", &["--deep"]), ["good", "good"]);
    // Said once by one key, it is said.
    assert_eq!(desk.sandbox.git_ml(&["attest", "first", "--json"]).success().json()["new"], false);

    // About another run, it proves nothing.
    desk.sandbox.git_ml(&["-q", "run", "--name", "second", "--", "sh", "-c", "echo 1 > f; git ml output f"]).success();
    let second = desk.sandbox.git_ml(&["show", "second", "--json"]).success().json();
    let second = second["id"].as_str().unwrap();
    let content = fs::read(desk.sandbox.root().join("ssh.json")).unwrap();
    let path = format!("runs/{}/{second}/{}.dsse.json", &second[second.len() - 2..], Digest::of(&content));
    desk.plant(&[(&path, &content)]);
    assert_eq!(outcomes("run:second", &[]), ["mismatch"]);
    // Nor does one in which a word was changed.
    let forged = String::from_utf8(content).unwrap();
    let changed = STANDARD.encode(statement.to_string().replace("\"0.1\"", "\"0.9\""));
    let forged = forged.replace(envelope("ssh.json")["payload"].as_str().unwrap(), &changed);
    let first = run["id"].as_str().unwrap();
    let path = format!("runs/{}/{first}/{}.dsse.json", &first[first.len() - 2..], Digest::of(forged.as_bytes()));
    desk.plant(&[(&path, forged.as_bytes())]);
    assert_eq!(outcomes("digits@v1", &[]), ["bad-signature"]);

    desk.sandbox.git_ml(&["-q", "run", "--name", "empty", "--", "true"]).success();
    desk.sandbox.git_ml(&["attest", "empty"]).one_line_error();
}

#[test]
fn signatures_travel_and_never_conflict() {
    let desk = Desk::new();
    desk.allow("ada@example.com KEY\n");
    desk.curve_key("k", "prime256v1");
    let key = desk.home("k.pem");
    let origin = desk.sandbox.root().join("origin.git");
    let origin = origin.to_str().unwrap();
    desk.sandbox.git(&["clone", "--quiet", "--bare", ".", origin]).success();
    desk.sandbox.git(&["remote", "add", "origin", origin]).success();
    let store = desk.sandbox.root().join("store");
    desk.sandbox.git_ml(&["remote", "add", "store", store.to_str().unwrap(), "--local"]).success();
    let clone = desk.sandbox.root().join("clone");
    desk.sandbox.git(&["clone", "--quiet", origin, clone.to_str().unwrap()]).success();
    desk.sandbox.git_ml_in(&clone, &["remote", "add", "store", store.to_str().unwrap(), "--local"]).success();
    desk.sandbox.git_ml(&["push"]).success();
    desk.sandbox.git_ml_in(&clone, &["pull"]).success();

    // Both sign at once, each with a key of their own.
    desk.sign(&["model"]).success();
    desk.sandbox.git_ml_in(&clone, &["sign", "model", "--key", key.to_str().unwrap()]).success();
    let told = desk.sandbox.git_ml(&["push", "--json"]).success().json();
    assert_eq!(told["runs"]["signatures"], json!({ "received": 0, "sent": 1 }));
    let told = desk.sandbox.git_ml_in(&clone, &["push", "--json"]).success().json();
    assert_eq!(told["runs"]["signatures"], json!({ "received": 1, "sent": 1 }));
    desk.sandbox.git_ml(&["fetch"]).success();
    let tree = |folder: &Path| {
        let mut command = desk.sandbox.command("git");
        command.current_dir(folder).args(["rev-parse", "refs/ml/signatures^{tree}"]);
        desk.sandbox.run(command).success().stdout()
    };
    assert_eq!((tree(desk.sandbox.repo()), desk.kept().len()), (tree(&clone), 2));
    // Nothing new is nothing to send, whoever asks and however often.
    for _ in 0..2 {
        for folder in [desk.sandbox.repo(), clone.as_path()] {
            let told = desk.sandbox.git_ml_in(folder, &["push", "--json"]).success().json();
            assert_eq!(told["runs"]["signatures"], json!({ "received": 0, "sent": 0 }));
        }
    }

    // What somebody else puts there is kept out by name, and what is here stays.
    let kept = desk.kept();
    let good = desk.kept_file(&kept[0]);
    let artifact = desk.artifact();
    let wrong_name = place(&artifact, b"else", "ssh");
    let planted: [(&str, &[u8]); 4] = [
        ("README", b"hello"),
        (&wrong_name, &good),
        ("artifacts/zz/x/y.ssh", b"x"),
        ("runs/00/deep/er/and/deeper", b"x"),
    ];
    desk.plant_at("refs/heads/planted", &planted);
    desk.sandbox
        .git(&["push", "--quiet", "--no-verify", "--force", origin, "refs/heads/planted:refs/ml/signatures"])
        .success();
    let told = desk.sandbox.git_ml(&["fetch", "--json"]).success();
    let kept_out: Vec<Value> =
        told.json()["runs"]["kept_out"].as_array().unwrap().iter().map(|out| out["path"].clone()).collect();
    assert_eq!(kept_out.len(), 4, "{told}");
    assert!(kept_out.contains(&json!("README")) && kept_out.contains(&json!(wrong_name)), "{told}");
    assert_eq!(desk.kept(), kept);
    // The next push puts it right.
    desk.sandbox.git_ml(&["push"]).success();
    let told = desk.sandbox.git_ml_in(&clone, &["fetch", "--json"]).success().json();
    assert_eq!((told["runs"]["kept_out"].clone(), tree(&clone)), (json!([]), tree(desk.sandbox.repo())));
}

#[test]
fn a_gate_asks_for_a_signature_that_counts() {
    let desk = Desk::new();
    desk.sandbox.write("ml.toml", "[gates.production]\nrequire = [\"signed\"]\n");
    desk.sandbox.commit("Gates");
    desk.train();
    let promote = || desk.sandbox.git_ml(&["model", "promote", "digits", "production"]);
    let told = promote().code(3);
    assert!(told.stderr().contains("digits@v1 has no signature"), "{told}");
    desk.sign(&["digits@v1"]).success();
    let told = promote().code(3);
    assert!(told.stderr().contains("no signature that counts: git's configuration names no allowed signers"), "{told}");
    desk.allow("ada@example.com KEY\n");
    promote().success();
}

#[test]
fn a_signature_keeps_nothing_from_garbage_collection_and_outlives_it() {
    let desk = Desk::new();
    desk.allow("ada@example.com KEY\n");
    desk.curve_key("k", "prime256v1");
    desk.config("ml.trustedKeys", desk.home("k.pub").to_str().unwrap());
    desk.sandbox.write("gone.bin", crate::sandbox::noise(9, 50_000));
    desk.sandbox.git_ml(&["track", "gone.bin"]).success();
    let pointer = desk.sandbox.read("gone.bin.mlref");
    let key = desk.home("k.pem");
    for target in ["gone.bin", "model"] {
        desk.sign(&[target]).success();
        desk.sign(&[target, "--key", key.to_str().unwrap()]).success();
    }
    desk.sandbox.git_ml(&["untrack", "gone.bin"]).success();
    fs::remove_file(desk.sandbox.path("gone.bin")).unwrap();
    desk.sandbox.git_ml(&["gc", "--grace", "now", "--max-unused", "0"]).success();
    desk.sandbox.git_ml(&["verify", "--all", "--deep"]).success();
    assert_eq!(desk.kept().len(), 4);
    assert_eq!(desk.sign(&["--list", "--deep", "--json", "model"]).success().json()[0]["outcome"], "good");

    // What was signed is known by its name, and not by its content any more.
    desk.sandbox.write("gone.bin.mlref", pointer);
    let outcomes = |deep: &[&str]| -> Vec<Value> {
        let list = desk.sign(&[&["--list", "--json", "gone.bin"], deep].concat()).success().json();
        let mut list: Vec<Value> = list.as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
        list.sort_by_key(Value::to_string);
        list
    };
    assert_eq!(outcomes(&[]), ["good", "good"]);
    assert_eq!(outcomes(&["--deep"]), ["good", "not-here"]);
    desk.sign(&["gone.bin"]).one_line_error();
}

#[test]
fn a_version_is_exported_as_a_bill_of_materials() {
    let mut desk = Desk::new();
    // An environment of Python's that is active.
    for package in ["numpy-1.26.4", "torch-2.13.0+cpu"] {
        let place = format!("venv/lib/python3.11/site-packages/{package}.dist-info");
        fs::create_dir_all(desk.home(&place)).unwrap();
    }
    fs::create_dir_all(desk.home("venv/bin")).unwrap();
    fs::write(desk.home("venv/bin/python"), "").unwrap();
    fs::write(desk.home("venv/pyvenv.cfg"), "version = 3.11.2\n").unwrap();
    let venv = desk.home("venv").to_str().unwrap().to_owned();
    desk.sandbox.set_env("VIRTUAL_ENV", venv);
    desk.sandbox.git(&["remote", "add", "origin", "git@example.com:team/repo.git"]).success();
    desk.train();
    desk.sandbox.git_ml(&["export", "sbom", "digits@v1", "-o", "../bom.json"]).success();
    let text = fs::read_to_string(desk.sandbox.root().join("bom.json")).unwrap();
    let again = desk.sandbox.git_ml(&["export", "sbom", "digits"]).success().stdout();
    assert_eq!(text, again, "the same version gives the same document");
    let bill: Value = serde_json::from_str(&text).unwrap();
    let version = desk.sandbox.git_ml(&["model", "show", "digits@v1", "--json"]).success().json();
    assert_eq!((bill["bomFormat"].clone(), bill["specVersion"].clone()), (json!("CycloneDX"), json!("1.6")));
    assert_eq!(bill["metadata"]["timestamp"], version["registered"]);
    let model = &bill["metadata"]["component"];
    assert_eq!((model["type"].clone(), model["version"].clone()), (json!("machine-learning-model"), json!("v1")));
    assert_eq!(model["hashes"][1], json!({ "alg": "BLAKE3", "content": version["id"] }));
    let metrics = json!([{ "type": "loss", "value": "0.5" }, { "type": "test_accuracy", "value": "0.97" }]);
    assert_eq!(model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"], metrics);
    let properties = model["modelCard"]["properties"].as_array().unwrap();
    assert!(properties.contains(&json!({ "name": "params.lr", "value": "0.1" })), "{properties:?}");
    let reference = json!({ "type": "vcs", "url": "ssh://example.com/team/repo.git",
        "comment": format!("commit {}", version["commit"].as_str().unwrap()) });
    assert_eq!(model["externalReferences"], json!([reference]));
    let sha = desk.sandbox.shell("sha256sum < out/w.bin").success().stdout();
    assert_eq!(model["components"][1]["hashes"][0]["content"], sha.split(' ').next().unwrap());

    let components = bill["components"].as_array().unwrap();
    let python = components.iter().filter_map(|one| one["purl"].as_str()).filter(|purl| purl.starts_with("pkg:pypi/"));
    assert_eq!(python.collect::<Vec<_>>(), ["pkg:pypi/numpy@1.26.4", "pkg:pypi/torch@2.13.0%2Bcpu"], "{components:?}");

    let Some(python) = peers() else { return };
    let script = "import sys\nfrom cyclonedx.validation.json import JsonStrictValidator\n\
        from cyclonedx.schema import SchemaVersion\n\
        problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
        sys.exit(str(problem) if problem else 0)\n";
    let validate = |name: &str| {
        let mut command = desk.sandbox.command(&python);
        command.args(["-c", script]).arg(desk.sandbox.root().join(name));
        desk.sandbox.run(command)
    };
    validate("bom.json").success();
    // The validator looks: a document that breaks the schema is refused.
    fs::write(desk.sandbox.root().join("bad.json"), text.replace("\"CycloneDX\"", "\"Cyclone\"")).unwrap();
    validate("bad.json").code(1);
}
