"""What is compared: git-ml, its peers, and the floors that no tool can be expected to beat by much.

A tool says with shell commands how it does each step; None means that it cannot, or that the step means nothing to it.
`work` is the folder that it keeps, with the data in `data`. What stands in `prepare`, `after_track` and `before_push`
is not measured.
"""

import os
import shutil
import subprocess
from pathlib import Path

# Where the package has another name than the program.
APT = {"borg": "borgbackup", "cp": "coreutils"}

GIT_CONFIG = """[user]
\tname = Bench
\temail = bench@example.com
[init]
\tdefaultBranch = main
[advice]
\tdetachedHead = false
[protocol "file"]
\tallow = always
# Nothing is collected in the background while something else is measured.
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""


class Place:
    """The fresh folders of one tool in one round."""

    def __init__(self, top):
        self.top = top
        self.work = top / "work"
        self.store = top / "store"
        self.remote = top / "remote.git"
        self.share = top / "share"
        self.clone = top / "clone"
        self.out = top / "out"
        self.home = top / "home"

    def make(self):
        for folder in (self.work, self.home):
            folder.mkdir(parents=True)
        (self.home / ".gitconfig").write_text(GIT_CONFIG)

    def environment(self):
        """A clean one: nothing of the user's changes what is measured."""
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "TMPDIR": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.home / "dvc-site"),
            "RESTIC_REPOSITORY": str(self.store),
            "RESTIC_PASSWORD": "bench",
            "RESTIC_PROGRESS_FPS": "0.01",
            "BORG_BASE_DIR": str(self.home),
            "BORG_REPO": str(self.store),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "HF_HOME": str(self.home / "hf"),
        }


class Tool:
    """One that is compared."""

    name = ""
    # Whether it keeps versions; a floor does not.
    is_floor = False
    # Of rows whose figure means something else than it seems: what it is.
    notes = {}
    # Rows that would say nothing: they are done, and their figures are not kept.
    skips = ()

    def __init__(self, options):
        self.options = options

    def missing(self):
        """What to do where it is not installed; None where it is."""
        return None if shutil.which(self.name) else f"apt-get install {APT.get(self.name, self.name)}"

    def version(self):
        return first_line([self.name, "--version"])

    def prepare(self, place):
        return None

    def track(self, place):
        return None

    def after_track(self, place):
        return None

    def status(self, place):
        return None

    def checkout(self, place):
        return None

    def before_push(self, place):
        return None

    def push(self, place):
        return None

    def pull(self, place):
        return None

    def stored(self, place):
        """The folders that hold what was stored."""
        return [place.store]

    def after_push(self, place):
        return None

    def restored(self, place):
        """Where the data is after a checkout."""
        return place.work / "data"


class Git(Tool):
    name = "git"

    def prepare(self, place):
        return "git init -q ."

    def track(self, place):
        return "git add data"

    def after_track(self, place):
        return "git commit -qam data"

    def status(self, place):
        return "git status --porcelain"

    def checkout(self, place):
        return "git checkout -q -- data"

    def before_push(self, place):
        return f"git init -q --bare {place.remote} && git remote add origin {place.remote}"

    def push(self, place):
        return "git push -q origin main"

    def pull(self, place):
        return f"git clone -q {place.remote} {place.clone}"

    def stored(self, place):
        return [place.work / ".git" / "objects"]


class GitMl(Git):
    name = "git-ml"

    def __init__(self, options):
        super().__init__(options)
        self.program = options.git_ml

    def missing(self):
        return None if self.program else "cargo build --release, or --git-ml PROGRAM"

    def version(self):
        return first_line([self.program, "--version"])

    def prepare(self, place):
        # The remote stands in the configuration from the start; it is used only by the rows that push.
        return (
            f"git init -q . && {self.program} init -q && {self.program} -q remote add share {place.share}"
            " && git add -A && git commit -qm start"
        )

    def track(self, place):
        return f"{self.program} track data"

    def after_track(self, place):
        return "git add -A && git commit -qm data"

    def status(self, place):
        return f"{self.program} status"

    def checkout(self, place):
        return f"{self.program} checkout data"

    def push(self, place):
        return f"{self.program} push share"

    def pull(self, place):
        # Pointers come from git, as they do for everybody; they are pushed first, which is not measured.
        return f"git clone -q {place.remote} {place.clone} && {self.program} -C {place.clone} pull"

    def after_push(self, place):
        return "git push -q --no-verify origin main"

    def stored(self, place):
        return [place.work / ".git" / "ml"]


class GitLfs(Git):
    name = "git-lfs"

    def version(self):
        return first_line(["git-lfs", "version"])

    def prepare(self, place):
        return (
            "git init -q . && git lfs install >/dev/null && git lfs track 'data/**' >/dev/null"
            " && git add .gitattributes && git commit -qm start"
        )

    def stored(self, place):
        return [place.work / ".git" / "lfs", place.work / ".git" / "objects"]


class GitAnnex(Git):
    name = "git-annex"
    notes = {"checkout-many": "links only: git-annex keeps the bytes in one place"}

    def version(self):
        return first_line(["git-annex", "version"])

    def prepare(self, place):
        return "git init -q . && git commit -q --allow-empty -m start && git annex init -q bench"

    def track(self, place):
        return "git annex add -q data"

    def after_track(self, place):
        return "git commit -qm data"

    def before_push(self, place):
        return (
            f"mkdir {place.share} && git annex initremote -q share type=directory directory={place.share} encryption=none"
        )

    def push(self, place):
        return "git annex copy -q --to share data"

    def pull(self, place):
        return None

    def stored(self, place):
        return [place.work / ".git" / "annex", place.work / ".git" / "objects"]


class Dvc(Git):
    name = "dvc"

    def __init__(self, options):
        super().__init__(options)
        self.program = in_venv(options, "dvc")

    def missing(self):
        return None if self.program else "--setup, which installs it into a virtual environment"

    def version(self):
        return "dvc " + first_line([self.program, "--version"])

    def prepare(self, place):
        return f"git init -q . && {self.program} init -q && git commit -qm start"

    def track(self, place):
        return f"{self.program} add -q data"

    def after_track(self, place):
        return "git add -A && git commit -qm data"

    def status(self, place):
        return f"{self.program} status"

    def checkout(self, place):
        return f"{self.program} checkout -q"

    def before_push(self, place):
        return f"{super().before_push(place)} && {self.program} remote add -q -d share {place.share} && git commit -qam remote"

    def push(self, place):
        return f"{self.program} push -q"

    def after_push(self, place):
        return "git push -q --no-verify origin main"

    def pull(self, place):
        return f"git clone -q {place.remote} {place.clone} && cd {place.clone} && {self.program} pull -q"

    def stored(self, place):
        return [place.work / ".dvc" / "cache"]


class Oxen(Tool):
    """PyPI has oxen as a Python library, so that its figures hold the start of Python."""

    name = "oxen"

    def __init__(self, options):
        super().__init__(options)
        self.python = in_venv(options, "python")

    def missing(self):
        return missing_module(self.python, "oxen")

    def version(self):
        return "oxen " + module_version(self.python, "oxenai")

    def _script(self, text):
        return f'{self.python} -c "import oxen; {text}"'

    def prepare(self, place):
        return self._script("oxen.user.config_user('bench', 'bench@example.com'); oxen.init('.')")

    def track(self, place):
        return self._script("oxen.Repo('.').add('data')")

    def after_track(self, place):
        return self._script("oxen.Repo('.').commit('data')")

    def status(self, place):
        return self._script("print(oxen.Repo('.').status())")

    def checkout(self, place):
        return self._script("oxen.Repo('.').restore('data')")

    def stored(self, place):
        return [place.work / ".oxen"]


class HfXet(Tool):
    """The client library of Hugging Face's storage, with a store in a folder."""

    name = "hf-xet"

    def __init__(self, options):
        super().__init__(options)
        self.python = in_venv(options, "python")

    def missing(self):
        return missing_module(self.python, "hf_xet")

    def version(self):
        return "hf-xet " + module_version(self.python, "hf-xet")

    def track(self, place):
        text = (
            "import hf_xet, pathlib; paths = [str(path) for path in pathlib.Path('data').rglob('*') if path.is_file()]; "
            f"hf_xet.upload_files(paths, 'local://{place.store}', None, None, None, None)"
        )
        return f'{self.python} -c "{text}"'

    def stored(self, place):
        return [place.store / "xet" / "xorbs"]


class Restic(Tool):
    name = "restic"

    def version(self):
        return first_line(["restic", "version"])

    def prepare(self, place):
        return "restic init -q"

    def track(self, place):
        return "restic backup -q data"

    def checkout(self, place):
        return f"restic restore -q latest --target {place.out}"

    def restored(self, place):
        return place.out / "data"


class Borg(Tool):
    name = "borg"

    def prepare(self, place):
        return "borg init -e none"

    def track(self, place):
        return "borg create ::$(date +%s%N) data"

    def checkout(self, place):
        return f"mkdir -p {place.out} && cd {place.out} && borg extract ::$(borg list --last 1 --short)"

    def restored(self, place):
        return place.out / "data"


class Copy(Tool):
    """The floor: one copy, that keeps nothing else."""

    name = "cp"
    is_floor = True
    skips = ("retrack-changed",)

    def prepare(self, place):
        return f"mkdir {place.store}"

    def track(self, place):
        return f"cp -r data {place.store}/"

    def checkout(self, place):
        return f"cp -r {place.store}/data ."

    def before_push(self, place):
        return f"mkdir {place.share}"

    def push(self, place):
        return f"cp -r data {place.share}/"

    def pull(self, place):
        return f"mkdir {place.clone} && cp -r {place.share}/data {place.clone}/"


class Zstd(Tool):
    """The floor for size: one archive."""

    name = "zstd"
    is_floor = True
    skips = ("retrack-inserted", "retrack-changed")
    level = 3

    def prepare(self, place):
        return f"mkdir {place.store}"

    def track(self, place):
        return f"tar c data | zstd -q -{self.level} -T2 > {place.store}/data.tar.zst"

    def checkout(self, place):
        return f"zstd -q -d -c {place.store}/data.tar.zst | tar x"


class FastZstd(Zstd):
    name = "zstd-1"
    level = 1

    def missing(self):
        return None if shutil.which("zstd") else "apt-get install zstd"

    def version(self):
        return first_line(["zstd", "--version"])


class Hash(Tool):
    """The floor for looking at everything: git-ml reads and hashes, and stores nothing."""

    name = "hash"
    is_floor = True
    # It would look only at what changed.
    skips = ("retrack-changed",)

    def missing(self):
        return None if self.options.git_ml else "cargo build --release, or --git-ml PROGRAM"

    def version(self):
        return first_line([self.options.git_ml, "--version"])

    def prepare(self, place):
        return "git init -q ."

    def track(self, place):
        return f"{self.options.git_ml} track --dry-run data"


ALL = [Copy, Hash, Zstd, FastZstd, GitMl, Git, GitLfs, GitAnnex, Dvc, Oxen, HfXet, Restic, Borg]
NAMES = [tool.name for tool in ALL]


def first_line(command):
    try:
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    except OSError as error:
        return str(error)
    return said.strip().splitlines()[0] if said.strip() else "unknown"


def in_venv(options, program):
    """A program of the virtual environment, or the user's own."""
    place = options.venv / "bin" / program
    if place.exists():
        return str(place)
    return None if program == "python" else shutil.which(program)


def missing_module(python, module):
    ask = "--setup, which installs it into a virtual environment"
    if python is None:
        return ask
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    return None if found.returncode == 0 else ask


def module_version(python, package):
    return first_line([python, "-c", f"import importlib.metadata as m; print(m.version('{package}'))"])


def set_up(venv):
    """Makes the virtual environment with the peers that PyPI has."""
    if not (venv / "bin" / "python").exists():
        venv.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["nice", "-n", "19", "python3", "-m", "venv", str(venv)], check=True)
    install = [str(venv / "bin" / "pip"), "install", "--upgrade", "dvc", "oxenai", "hf-xet"]
    subprocess.run(["nice", "-n", "19", *install], check=True)


def find_git_ml(given):
    """The program that was given, the one that was built here, or the one on the PATH."""
    built = Path(__file__).resolve().parents[2] / "target" / "release" / "git-ml"
    for place in (given, built, shutil.which("git-ml")):
        if place and Path(place).is_file():
            return str(Path(place).resolve())
    return None
