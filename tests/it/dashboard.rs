//! The dashboard in a real terminal, which tmux gives: what it shows of runs as they happen, and that it leaves the
//! terminal as it was, however it ends.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use git_ml::tui::Screen;

use crate::sandbox::Sandbox;

/// A terminal of its own tmux server, which a shell script runs in.
struct Terminal {
    sandbox: Sandbox,
    socket: PathBuf,
}

impl Terminal {
    /// A terminal with a script; none where there is no tmux, which is said.
    fn start(sandbox: Sandbox, script: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("skipped: tmux is not installed");
            return None;
        }
        let socket = sandbox.root().join("tmux");
        let terminal = Self { sandbox, socket };
        // What is left on the screen after the script is looked at too, so the terminal outlives it.
        let script = format!("{script}\ntmux wait-for -S ended\nexec cat");
        terminal.tmux(&["-u", "new-session", "-d", "-x", "90", "-y", "26", "sh", "-c", &script]);
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = self.sandbox.command("tmux");
        command.args(["-f", "/dev/null", "-S"]).arg(&self.socket).args(arguments);
        self.sandbox.run(command).success().stdout()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen shows something.
    #[track_caller]
    fn wait_for(&self, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let screen = self.screen();
            if screen.contains(words) {
                return screen;
            }
            assert!(Instant::now() < deadline, "the screen should show `{words}`:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the script has ended.
    fn wait_for_end(&self) {
        self.tmux(&["wait-for", "ended"]);
    }

    /// Asserts that the terminal is as the shell had it: its modes, its cursor, its own screen.
    #[track_caller]
    fn assert_restored(&self) {
        assert_eq!(self.sandbox.read("modes-after"), self.sandbox.read("modes-before"));
        let shown = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag} #{keypad_flag}"]);
        assert_eq!(shown.trim(), "0 1 0", "{}", self.screen());
        assert!(self.screen().contains("the prompt was here"), "{}", self.screen());
    }

    fn exit_code(&self) -> String {
        self.sandbox.read("exit-code").trim().to_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = self.sandbox.command("tmux");
        command.arg("-S").arg(&self.socket).arg("kill-server");
        let _ = command.output();
    }
}

/// Runs a program between two looks at the terminal's modes.
fn between_looks(program: &str) -> String {
    format!(
        "echo the prompt was here\nstty -g > modes-before\nsh -c 'echo $$ > pid; exec {program}'\n\
         echo $? > exit-code\nstty -g > modes-after"
    )
}

fn dashboard(sandbox: Sandbox) -> Option<Terminal> {
    Terminal::start(sandbox, &between_looks("git-ml ui"))
}

fn sandbox_with_a_run() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "train.sh",
        "for epoch in 1 2 3; do echo \"{\\\"step\\\": $epoch, \\\"val_accuracy\\\": 0.$epoch}\" >> \"$GIT_ML_LOG\"; done\n\
         echo trained\n",
    );
    sandbox.commit("Add a training");
    sandbox.git_ml(&["run", "--name", "calm-heron-1", "--", "sh", "train.sh"]).success();
    sandbox
}

#[test]
fn it_shows_a_run_from_its_start_to_its_end() {
    let sandbox = sandbox_with_a_run();
    let Some(terminal) = dashboard(sandbox) else { return };
    terminal.wait_for("calm-heron-1");
    let mut live = terminal.sandbox.git_ml_command();
    live.args(["run", "--name", "brave-otter-2", "--", "sh", "-c"]).arg(
        r#"echo '{"step": 1, "val_accuracy": 0.5}' >> "$GIT_ML_LOG"
           echo '{"step": 2, "val_accuracy": 0.75}' >> "$GIT_ML_LOG"; echo halfway
           until [ -e go-on ]; do sleep 0.02; done
           echo '{"step": 3, "val_accuracy": 0.875}' >> "$GIT_ML_LOG"; echo done"#,
    );
    let mut live = live.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().unwrap();
    terminal.wait_for("1 running");
    terminal.wait_for("0.7500");
    terminal.keys(&["Home", "Enter", "C"]);
    let charts = terminal.wait_for("accuracy ─");
    assert!(charts.contains("running"), "{charts}");
    terminal.keys(&["Tab"]);
    terminal.wait_for("halfway");
    terminal.sandbox.write("go-on", "");
    terminal.wait_for("done");
    terminal.wait_for("finished");
    assert!(live.wait().unwrap().success());
    terminal.keys(&["Escape"]);
    terminal.wait_for("0.8750");
    terminal.keys(&["q"]);
    terminal.wait_for_end();
    terminal.assert_restored();
    assert_eq!(terminal.exit_code(), "0");
}

#[test]
fn it_leaves_the_terminal_as_it_was_when_a_signal_ends_it() {
    for (signal, code) in [("TERM", "143"), ("HUP", "129"), ("INT", "130")] {
        let Some(terminal) = dashboard(sandbox_with_a_run()) else { return };
        terminal.wait_for("calm-heron-1");
        terminal.sandbox.shell(&format!("kill -{signal} $(cat pid)")).success();
        terminal.wait_for_end();
        terminal.assert_restored();
        assert_eq!(terminal.exit_code(), code);
    }
}

#[test]
fn it_filters_resizes_and_says_when_it_is_too_small() {
    let Some(terminal) = dashboard(sandbox_with_a_run()) else { return };
    terminal.wait_for("calm-heron-1");
    terminal.keys(&["/"]);
    terminal.keys(&["-l", "metrics.val_accuracy > 0.9"]);
    terminal.wait_for("No run matches the filter");
    terminal.keys(&["Escape"]);
    terminal.wait_for("calm-heron-1");
    terminal.tmux(&["resize-window", "-x", "40", "-y", "10"]);
    terminal.wait_for("git ml ui needs 60×15");
    terminal.tmux(&["resize-window", "-x", "160", "-y", "48"]);
    let screen = terminal.wait_for("val 0.3000");
    assert!(screen.contains("Overview") || screen.contains("Metrics"), "{screen}");
}

#[test]
fn it_needs_a_terminal() {
    let sandbox = sandbox_with_a_run();
    insta::assert_snapshot!(sandbox.git_ml(&["ui"]).code(2), @r"
    --- stderr
    error: the dashboard needs a terminal
    hint: `git ml log` lists the runs anywhere, with `--json` for programs
    --- exit 2
    ");
}

#[test]
fn outside_of_a_repository_the_terminal_is_not_touched() {
    let Some(terminal) = dashboard(Sandbox::without_repository()) else { return };
    terminal.wait_for_end();
    terminal.assert_restored();
    assert_eq!(terminal.exit_code(), "1");
    assert!(terminal.screen().contains("error: "), "{}", terminal.screen());
}

#[test]
fn a_panic_gives_the_terminal_back_before_anything_is_said() {
    let test_program = std::env::current_exe().unwrap();
    for test in ["panics_with_the_terminal_taken", "panics_in_another_thread"] {
        let program = format!("{} --exact dashboard::{test} --ignored --nocapture", test_program.display());
        let Some(terminal) = Terminal::start(Sandbox::new(), &between_looks(&program)) else { return };
        terminal.wait_for_end();
        terminal.assert_restored();
        assert!(terminal.screen().contains("this was on purpose"), "{}", terminal.screen());
    }
}

#[test]
#[ignore = "run in a terminal by `a_panic_gives_the_terminal_back_before_anything_is_said`"]
fn panics_with_the_terminal_taken() {
    let _screen = Screen::enter().unwrap();
    panic!("this was on purpose");
}

#[test]
#[ignore = "run in a terminal by `a_panic_gives_the_terminal_back_before_anything_is_said`"]
fn panics_in_another_thread() {
    let mut screen = Screen::enter().unwrap();
    std::thread::spawn(|| panic!("this was on purpose")).join().unwrap_err();
    screen.draw(|frame| frame.render_widget("a frame that must not be drawn any more", frame.area())).unwrap();
}
