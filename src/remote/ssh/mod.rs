//! Remotes behind SSH: a folder on another machine, reached by the user's own `ssh` and SFTP.
//!
//! Nothing of ours is needed on the other machine, and keys, agents, aliases and known hosts are those of the user's
//! configuration. One connection serves a whole transfer. An object is written beside its place and renamed, so nobody
//! ever sees a part of one.

mod address;
mod connection;
mod transfer;

pub(crate) use address::{Address, percent_decoded};

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openssh_sftp_client::Error as SftpError;
use openssh_sftp_client::error::SftpErrorKind;
use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};

use super::ObjectError;
use super::objects::{Listed, Objects, Pace};
use crate::files::Draft;
use connection::Connection;
use transfer::Source;

/// The `ssh` that is started, and who hears what it says.
#[derive(Clone, Default)]
pub struct SshProgram {
    /// A line of shell in place of `ssh`, as git has it in `GIT_SSH_COMMAND` and `core.sshCommand`.
    pub line: Option<String>,
    /// Is told what `ssh` says while it goes on.
    pub notice: Option<Notice>,
}

/// Is told a line for the user.
pub type Notice = Arc<dyn Fn(&str) + Send + Sync>;

impl SshProgram {
    /// Runs a line of shell on the other machine.
    pub(crate) fn command_to(&self, address: &Address, line: &str) -> std::process::Command {
        let mut command = self.command();
        connection::add_target(&mut command, address).arg(line);
        command.into_std()
    }

    fn command(&self) -> Command {
        match &self.line {
            // As git does: the shell splits the line, and our arguments stay as they are.
            Some(line) => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(format!("{line} \"$@\"")).arg(line);
                command
            }
            None => Command::new("ssh"),
        }
    }

    fn tell(&self, line: &str) {
        if let Some(notice) = &self.notice {
            notice(line);
        }
    }
}

impl fmt::Debug for SshProgram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SshProgram").field("line", &self.line).finish_non_exhaustive()
    }
}

/// The objects in a folder on another machine.
#[derive(Debug)]
pub(crate) struct SshObjects {
    address: Address,
    program: SshProgram,
    connection: Mutex<State>,
    runtime: Runtime,
}

#[derive(Debug)]
enum State {
    /// Not connected, or not any more.
    Apart,
    Connected(Arc<Connection>),
    /// The user was not let in. Asking again would ask them for a password again.
    Refused(String),
}

/// What goes wrong with an operation on a connection.
#[derive(Debug)]
enum Trouble {
    Sftp(SftpError),
    /// What was to be sent cannot be read here.
    Input(io::Error),
    /// What arrived cannot be written here.
    Output(ObjectError),
    /// An object is shorter than it was said to be.
    Short,
}

impl From<SftpError> for Trouble {
    fn from(error: SftpError) -> Self {
        Self::Sftp(error)
    }
}

impl Trouble {
    /// The answer of the other machine, if there was one.
    fn answer(&self) -> Option<SftpErrorKind> {
        match self {
            Self::Sftp(SftpError::SftpError(kind, _)) => Some(*kind),
            _ => None,
        }
    }

    fn is_not_found(&self) -> bool {
        matches!(self.answer(), Some(SftpErrorKind::NoSuchFile))
    }
}

impl SshObjects {
    /// The objects at `address`. Nothing is connected before something is asked for.
    pub(crate) fn new(address: Address, program: SshProgram) -> Result<Self, ObjectError> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("ssh").enable_all().build();
        let runtime = runtime.map_err(|error| ObjectError::Failed {
            place: address.to_string(),
            action: "connect".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Self { address, program, connection: Mutex::new(State::Apart), runtime })
    }

    fn place(&self) -> String {
        self.address.to_string()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection; whoever is first connects, and all others wait for that.
    fn connected(&self) -> Result<Arc<Connection>, ObjectError> {
        let mut state = self.state();
        match &*state {
            State::Connected(connection) => return Ok(Arc::clone(connection)),
            State::Refused(problem) => return Err(self.refusal(problem.clone())),
            State::Apart => {}
        }
        match self.runtime.block_on(Connection::open(&self.address, &self.program)) {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *state = State::Connected(Arc::clone(&connection));
                Ok(connection)
            }
            Err(ObjectError::Denied { problem, .. }) => {
                *state = State::Refused(problem.clone());
                Err(self.refusal(problem))
            }
            Err(error) => Err(error),
        }
    }

    fn refusal(&self, problem: String) -> ObjectError {
        ObjectError::Denied { place: self.place(), action: "in".to_owned(), problem }
    }

    /// Does something over the connection.
    fn run<T>(
        &self,
        action: &str,
        name: &str,
        operation: impl AsyncFnOnce(&Connection, &str) -> Result<T, Trouble>,
    ) -> Result<T, ObjectError> {
        let action = format!("{action} {name}");
        let place = self.place();
        if !is_plain(name) {
            let problem = "that is no name for an object".to_owned();
            return Err(ObjectError::Failed { place, action, problem });
        }
        let connection = self.connected()?;
        let trouble = match self.runtime.block_on(operation(&connection, &self.address.folder)) {
            Ok(value) => return Ok(value),
            Err(trouble) => trouble,
        };
        Err(match trouble {
            Trouble::Sftp(SftpError::SftpError(kind, message)) => {
                let problem = format!("{message}");
                match kind {
                    SftpErrorKind::NoSuchFile => ObjectError::NotFound { place, name: name.to_owned() },
                    SftpErrorKind::PermDenied => ObjectError::Denied { place, action, problem },
                    _ => ObjectError::Failed { place, action, problem },
                }
            }
            Trouble::Short => ObjectError::Failed { place, action, problem: "it is shorter than it was".to_owned() },
            Trouble::Input(error) => {
                ObjectError::Failed { place, action, problem: format!("it cannot be read here: {error}") }
            }
            Trouble::Output(error) => error,
            Trouble::Sftp(error) => {
                self.part_from(&connection);
                self.runtime.block_on(connection.ended(&self.address, &error.to_string()))
            }
        })
    }

    /// Lets go of a connection that has ended, so that the next operation makes another.
    fn part_from(&self, connection: &Arc<Connection>) {
        let mut state = self.state();
        if matches!(&*state, State::Connected(current) if Arc::ptr_eq(current, connection)) {
            *state = State::Apart;
        }
    }
}

/// Whether a name stays below the folder. Names come from lists that others wrote.
fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    name.split('/').all(is_part)
}

impl Objects for SshObjects {
    fn describe(&self) -> String {
        self.place()
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectError> {
        match self.run("list", folder, async |connection, root| transfer::list(connection, root, folder).await) {
            Err(ObjectError::NotFound { .. }) => Ok(Vec::new()),
            result => result,
        }
    }

    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        match self.run("look at", name, async |connection, root| transfer::size(connection, root, name).await) {
            Err(ObjectError::NotFound { .. }) => Ok(None),
            result => result.map(Some),
        }
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.run("read", name, async |connection, root| transfer::read(connection, root, name, range).await)
    }

    fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError> {
        self.run("write", name, async |connection, root| {
            transfer::put(connection, root, name, &Source::Memory(content), &|_| ()).await
        })
    }

    fn put_file(&self, name: &str, path: &Path, pace: &Pace<'_>) -> Result<(), ObjectError> {
        self.run("write", name, async |connection, root| {
            let file = File::open(path).map_err(Trouble::Input)?;
            let size = file.metadata().map_err(Trouble::Input)?.len();
            transfer::put(connection, root, name, &Source::File(file, size), pace).await
        })
    }

    fn fetch(&self, name: &str, size: u64, output: &mut Draft, pace: &Pace<'_>) -> Result<(), ObjectError> {
        self.run("read", name, async |connection, root| {
            transfer::fetch(connection, root, name, size, output, pace).await
        })
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        match self.run("remove", name, async |connection, root| transfer::remove(connection, root, name).await) {
            Err(ObjectError::NotFound { .. }) => Ok(()),
            result => result,
        }
    }

    fn gap(&self) -> u64 {
        64 << 10
    }
}

impl Drop for SshObjects {
    fn drop(&mut self) {
        // What is under way is given up, and the other side sees that its input ends. `ssh` itself is not killed: it
        // may serve other programs of the user with the same connection.
        if let State::Connected(connection) = std::mem::replace(&mut *self.state(), State::Apart) {
            drop(connection);
        }
    }
}

#[cfg(test)]
mod tests;
