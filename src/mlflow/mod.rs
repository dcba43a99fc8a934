//! The MLflow protocol: its tracking and registry API over a repository, for clients that cannot tell the difference.
//!
//! `git ml mlflow serve` offers it for a whole repository; `git ml run` opens a port of its own for the command that
//! it runs. What arrives lands in runs, artifacts and the registry like anything native.
//!
//! Everything that a client sends is untrusted: names, numbers, paths and sizes. Whatever it is, the answer is what
//! it asked for or an error in MLflow's form.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `mod` | the server: its socket, its thread, its end |
//! | `http` | who may ask, bodies and replies |
//! | `endpoints` | the list of all JSON endpoints |
//! | `message` | protocol buffers spelled in JSON |
//! | `error` | codes, messages and statuses |
//! | `tracking` | the runs, those in progress and the recorded ones |
//! | `form` | runs and experiments as clients read them |
//! | `validate` | names, lengths and numbers that MLflow takes |
//! | `filter`, `paging` | its language for filters and orders, its pages |
//! | `experiments`, `runs`, `metrics`, `search` | the endpoints of these names |
//! | `artifacts`, `multipart` | files, streamed to and from runs, logged models and versions |
//! | `logged` | logged models |
//! | `registry`, `versions`, `sources` | registered models, their versions, and what versions are made of |
//! | `datasets` | what runs read and made |
//! | `graphql`, `graphql_query` | the queries of MLflow's own pages |
//! | `shelf` | what is remembered of models |

mod artifacts;
mod datasets;
mod endpoints;
mod error;
mod experiments;
mod filter;
mod form;
mod graphql;
mod graphql_query;
mod http;
mod logged;
mod message;
mod metrics;
mod multipart;
mod paging;
mod registry;
mod runs;
mod search;
mod shelf;
mod sources;
mod tracking;
mod validate;
mod versions;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};
use axum::serve::{Listener, ListenerExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use self::experiments::Experiments;
use self::http::{Access, Reply};
use self::shelf::Shelf;
use self::tracking::Tracking;
use crate::id::RunId;
use crate::run::{RunError, RunStatus, Uploads};
use crate::track::{TrackError, Workspace};

/// The version of MLflow whose protocol this is: clients ask for it to know what a server can do.
const MLFLOW_VERSION: &str = "3.17.2";

/// How long requests that are being answered may take when the server is asked to stop.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a server could not be.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// As it was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no thread, or nothing to wait for connections with.
    #[error("cannot start the server")]
    Start(#[source] io::Error),
    /// An address that others reach, and nothing that tells who may.
    #[error("{host} is reached by other machines, and there is no token")]
    NoToken {
        /// The address.
        host: IpAddr,
    },
    /// The repository cannot be opened.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// Runs that ended could not be recorded. Their folders have everything still.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What to serve, where, and to whom.
#[derive(Debug)]
pub struct Options {
    /// A folder of the repository. It is opened when somebody asks for the first time: most commands never do.
    pub folder: PathBuf,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; with 0 the system chooses a free one.
    pub port: u16,
    /// What clients have to show; without, only this machine is served.
    pub token: Option<String>,
    /// Who serves: the user of runs whose clients do not say.
    pub user: String,
    /// This machine's name.
    pub machine: String,
    /// The run whose command is served, where it is one.
    pub inside: Option<RunId>,
}

/// What the endpoints work on.
#[derive(Debug)]
pub(crate) struct Server {
    /// The repository.
    workspace: Arc<Workspace>,
    /// Who may ask.
    access: Access,
    /// Who serves.
    user: String,
    /// This machine's name.
    machine: String,
    /// Its runs.
    tracking: Tracking,
    /// Its experiments.
    experiments: Experiments,
    /// What is remembered of models.
    shelf: Shelf,
}

/// A server at work, on threads of its own.
#[derive(Debug)]
#[must_use = "it stops when this is dropped"]
pub struct Serving {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Option<Opened>>>,
}

/// A server that somebody has asked.
#[derive(Debug)]
struct Opened {
    server: Arc<Server>,
    /// Records the runs that ended.
    recorder: JoinHandle<()>,
}

impl Opened {
    fn new(options: Options, access: Access) -> Result<Self, ServeError> {
        let Options { folder, user, machine, inside, .. } = options;
        let workspace = Arc::new(Workspace::discover(&folder)?);
        let tracking = Tracking::new(Arc::clone(&workspace), inside);
        let experiments = Experiments::new(Arc::clone(&workspace));
        let shelf = Shelf::default();
        let server = Arc::new(Server { workspace, access, user, machine, tracking, experiments, shelf });
        let shared = Arc::clone(&server);
        let recorder = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                Uploads::sweep(&shared.workspace, &shared.author());
                shared.tracking.record_ended();
            })
            .map_err(ServeError::Start)?;
        Ok(Self { server, recorder })
    }
}

impl Serving {
    /// Listens, and answers from then on.
    pub fn start(options: Options) -> Result<Self, ServeError> {
        let access = match &options.token {
            Some(token) => Access::Token(token.clone()),
            None if options.host.is_loopback() => Access::Loopback,
            None => return Err(ServeError::NoToken { host: options.host }),
        };
        let address = SocketAddr::new(options.host, options.port);
        let listen = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        // Who serves a whole repository wants to hear at once what is wrong with it.
        let opened = match options.inside {
            Some(_) => Err((options, access)),
            None => Ok(Opened::new(options, access)?),
        };
        let (stop, stopped) = oneshot::channel();
        let serving = std::thread::Builder::new().name("mlflow".to_owned()).spawn(move || {
            // One that listens: who reads and writes files lets another thread do that meanwhile.
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(1).enable_all().max_blocking_threads(64).build();
            let runtime = runtime.ok()?;
            let opened = runtime.block_on(serve(opened, listener, stopped));
            runtime.shutdown_timeout(FAREWELL);
            opened
        });
        Ok(Self { address, stop: Some(stop), thread: Some(serving.map_err(ServeError::Start)?) })
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers what is being asked, and nothing more; then records the runs that ended. Those that the served command
    /// began and left open end with `status`.
    pub fn stop(mut self, status: RunStatus) -> Result<(), ServeError> {
        let Some(Opened { server, recorder }) = self.close() else { return Ok(()) };
        let closed = server.tracking.close(status);
        let _ = recorder.join();
        Ok(closed?)
    }

    fn close(&mut self) -> Option<Opened> {
        if let Some(stop) = self.stop.take() {
            // The thread has ended if it does not listen to this any more.
            let _ = stop.send(());
        }
        self.thread.take()?.join().ok()?
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// Answers on a socket until it is told to stop, and a little longer to those who have asked already.
async fn serve(
    opened: Result<Opened, (Options, Access)>,
    listener: TcpListener,
    mut stopped: oneshot::Receiver<()>,
) -> Option<Opened> {
    let listener = tokio::net::TcpListener::from_std(listener).ok()?;
    let (opened, first) = match opened {
        Ok(opened) => (opened, None),
        Err((options, access)) => {
            let first = tokio::select! {
                first = listener.accept() => first.ok()?,
                _ = &mut stopped => return None,
            };
            (Opened::new(options, access).ok()?, Some(first))
        }
    };
    let listener = Waiting { first, listener };
    // A small answer is not to wait for more to come.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let (begin, mut ending) = tokio::sync::watch::channel(());
    let farewell = async move {
        let _ = ending.changed().await;
        tokio::time::sleep(FAREWELL).await;
    };
    let ask = async move {
        let _ = stopped.await;
        drop(begin);
    };
    let serving = axum::serve(listener, router(Arc::clone(&opened.server))).with_graceful_shutdown(ask);
    tokio::select! {
        _ = serving => {}
        () = farewell => {}
    }
    Some(opened)
}

/// A socket of which the first connection may have been taken already.
struct Waiting {
    first: Option<(TcpStream, SocketAddr)>,
    listener: tokio::net::TcpListener,
}

impl Listener for Waiting {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        match self.first.take() {
            Some(first) => first,
            None => Listener::accept(&mut self.listener).await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/health", get(|| async { Reply::text("OK") }))
        .route("/version", get(|| async { Reply::text(MLFLOW_VERSION) }))
        .route("/graphql", any(graphql::answer))
        .merge(artifacts::routes())
        .fallback(http::answer)
        .layer(from_fn_with_state(Arc::clone(&server), http::guard))
        .with_state(server)
}
