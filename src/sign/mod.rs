//! Signatures of artifacts and attestations of runs, made and checked in forms that other tools check too.
//!
//! An artifact is signed with an SSH key, over a few lines of text that `ssh-keygen -Y verify` confirms, or with an
//! elliptic-curve key in the format of OpenSSF Model Signing, which `model_signing verify` confirms. A run is attested as
//! SLSA provenance. What was made is kept in `refs/ml/signatures`, under the artifact or the run that it is about.
//!
//! Architecture invariant: whom to trust comes from the user's own configuration of git and never from what is checked.
//! Private keys are read to sign and go nowhere else.

mod attach;
mod bundle;
mod check;
mod content;
mod dsse;
mod keys;
mod ledger;
mod model;
mod provenance;
mod signer;
mod ssh;
mod sshsig;
mod statement;
mod trust;

pub use attach::{STATEMENT_SUFFIX, attach, read_signature};
pub use check::{Depth, Outcome, Verdict, check, check_all, check_content};
pub use content::{FileDigests, file_digests};
pub use ledger::{Form, Ledger, Misplaced, Place, SIGNATURES_REF, Signature, Subject, signatures_of};
pub use model::sign_model;
pub use provenance::{attest, python_package, source_uri};
pub use signer::Signer;
pub use statement::{Statement, sign_statement};
pub use trust::{SSH_NAMESPACE, Trust, TrustedKey};

use std::path::PathBuf;

use crate::files::FileError;
use crate::git::GitError;
use crate::id::ArtifactId;
use crate::run::RunError;
use crate::store::StoreError;

/// An artifact that is to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'t> {
    /// The artifact.
    pub id: ArtifactId,
    /// Its name, which the signature repeats.
    pub name: &'t str,
    /// Its type, which the signature repeats.
    pub artifact_type: &'t str,
    /// As the user named it, for the message of the commit.
    pub label: &'t str,
}

/// Why something could not be signed or checked. What a check finds out is no error but an [`Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// git's configuration names no key to sign with.
    #[error("there is no key to sign with: {problem}")]
    NoKey {
        /// What git's configuration has.
        problem: String,
    },
    /// A key that cannot be used.
    #[error("{} cannot be used: {problem}", path.display())]
    BadKey {
        /// Its file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A private key that only a passphrase opens.
    #[error("the key in {} is encrypted", path.display())]
    EncryptedKey {
        /// Its file.
        path: PathBuf,
    },
    /// The program that signs and verifies with SSH keys cannot be started.
    #[error("cannot run `{program}`")]
    NoProgram {
        /// As git's configuration names it.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// That program did not sign.
    #[error("`{program}` did not sign: {message}")]
    NotSigned {
        /// As git's configuration names it.
        program: String,
        /// The line of what it said that says why.
        message: String,
    },
    /// Something that cannot be signed in this form.
    #[error("{what} cannot be signed: {problem}")]
    NotSignable {
        /// What it is.
        what: String,
        /// Why not.
        problem: String,
    },
    /// An artifact that is not in this store.
    #[error("artifact {id} is not in this store")]
    NotStored {
        /// The artifact.
        id: ArtifactId,
    },
    /// A file with the keys to be trusted that cannot be used.
    #[error("{key} of git's configuration names {}, which cannot be used: {problem}", path.display())]
    Untrustworthy {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that should hold a signature and does not.
    #[error("{} is no signature: {problem}", path.display())]
    NoSignature {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests;
