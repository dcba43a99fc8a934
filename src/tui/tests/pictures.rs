//! How the views look, at a small and at a large size.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Modifier;

use super::super::app::{Action, App};
use super::super::fixture::{Desk, FakeSource, now};
use super::super::keys::{Key, key};
use super::super::theme::{Background, ColorDepth, Theme};
use super::super::views;
use super::{DOWN, ENTER, LARGE, SMALL, TAB};

pub(super) fn buffer(app: &App, size: (u16, u16)) -> Buffer {
    let theme = Theme::new(ColorDepth::True, Background::Dark);
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| views::draw(frame, app, &theme)).unwrap();
    terminal.backend().buffer().clone()
}

pub(super) fn text(buffer: &Buffer) -> String {
    let line = |y: u16| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

/// The screen after some keys.
fn picture(keys: &[Key], size: (u16, u16)) -> String {
    let mut desk = Desk::new(size);
    desk.keys(keys);
    text(&buffer(&desk.app, size))
}

#[test]
fn runs_small() {
    insta::assert_snapshot!(picture(&[DOWN], SMALL), @r"
     digits · …  ⠋ 1 running   1 Runs  2 Registry  3 Compare  4 Artifacts  5 Sweeps
    ╭─ Runs ───────────────────────────────────────────────────────────── 12 runs ─╮
    │    run              ↓started     time  commit     val_accuracy  val_loss     │
    │ ⠋  brave-otter-12     2m ago   2m 00s  84a56972*        0.6845    0.8377     │
    │ ✓  calm-heron-3      31m ago   1m 30s  84a56972         0.9822    0.0974     │
    │ ✓  quiet-lynx-40     58m ago   1m 30s  84a56972         0.9673    0.1231     │
    │ ✗  swift-maple-7      2h ago      14s  6c6c8d45*        0.7487       NaN     │
    │ ✓  bold-ember-21      5h ago   1m 30s  6c6c8d45         0.9826    0.1129     │
    │ ✓  gentle-river-9     7h ago   1m 31s  6c6c8d45         0.9898    0.1098     │
    │ !  keen-falcon-33    25h ago      41s  90857d58*        0.9446    0.1972     │
    │ ✓  warm-cedar-5      26h ago   1m 31s  90857d58         0.9610    0.1585     │
    │ ✓  lucid-comet-18     2d ago   1m 31s  90857d58         0.9801    0.0917     │
    │ ✓  merry-brook-2      6d ago   1m 31s  7dd648fa*        0.9738    0.1098     │
    │ ✓  proud-willow-27   20d ago   1m 31s  7dd648fa         0.9850    0.1004     │
    │ ■  tidy-sparrow-1      9 Oct     5.6s  7dd648fa         0.3560    1.6931     │
    │                                                                              │
    │                                                                              │
    │                                                                              │
    │                                                                              │
    │                                                                              │
    │                                                                              │
    │                                                                              │
    ╰──────────────────────────────────────────────────────────────────────────────╯
     Enter open  / filter  f find  s sort  v columns  b group  ? help  q quit
    ");
}

#[test]
fn runs_large() {
    insta::assert_snapshot!(picture(&[DOWN], LARGE), @r"
     git ml  digits · main  ⠋ 1 running                                                                                                       1 Runs 12   2 Registry 2   3 Compare   4 Artifacts   5 Sweeps
    ╭─ Runs ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────── 12 runs ─╮
    │    run              experiment  ↓started     time  commit     lr     batch_size  epochs  model  seed                val_accuracy  val_loss  train_loss  test_accuracy  train_accuracy                │
    │ ⠋  brave-otter-12   cnn           2m ago   2m 00s  84a56972*  0.01   64          20      cnn    1     ▁▃▄▅▆▇█             0.6845    0.8377      0.7899                         0.7026                │
    │ ✓  calm-heron-3     cnn          31m ago   1m 30s  84a56972   0.003  64          20      cnn    1     ▁▃▆▇▇███████        0.9822    0.0974      0.0216         0.9782          0.9994                │
    │ ✓  quiet-lynx-40    mlp          58m ago   1m 30s  84a56972   0.001  64          20      cnn    1     ▁▂▄▆▆▇▇█████        0.9673    0.1231      0.0530         0.9633          0.9873                │
    │ ✗  swift-maple-7    cnn           2h ago      14s  6c6c8d45*  1.0    64          20      cnn    1     ▁▅█                 0.7487       NaN         NaN                         0.7589                │
    │ ✓  bold-ember-21    cnn           5h ago   1m 30s  6c6c8d45   0.01   64          20      cnn    1     ▁▃▅▆▇▇██████        0.9826    0.1129      0.0299         0.9786          0.9962                │
    │ ✓  gentle-river-9   cnn           7h ago   1m 31s  6c6c8d45   0.003  64          20      cnn    1     ▁▄▆▇▇███████        0.9898    0.1098      0.0201         0.9858          0.9999                │
    │ !  keen-falcon-33   mlp          25h ago      41s  90857d58*  0.001  64          20      cnn    1     ▁▃▅▆▇▇▇██           0.9446    0.1972      0.1329                         0.9564                │
    │ ✓  warm-cedar-5     cnn          26h ago   1m 31s  90857d58   1.0    64          20      cnn    1     ▁▂▄▅▆▇▇▇████        0.9610    0.1585      0.0801         0.9570          0.9768                │
    │ ✓  lucid-comet-18   cnn           2d ago   1m 31s  90857d58   0.01   64          20      cnn    1     ▁▃▆▇▇███████        0.9801    0.0917      0.0209         0.9761          0.9997                │
    │ ✓  merry-brook-2                  6d ago   1m 31s  7dd648fa*  0.003  64          20      cnn    1     ▁▃▅▆▆▇▇█████        0.9738    0.1098      0.0381         0.9698          0.9930                │
    │ ✓  proud-willow-27  mlp          20d ago   1m 31s  7dd648fa   0.001  64          20      cnn    1     ▁▄▆▇████████        0.9850    0.1004      0.0203         0.9810          0.9999                │
    │ ■  tidy-sparrow-1   cnn            9 Oct     5.6s  7dd648fa   1.0    64          20      cnn    1     ▄                   0.3560    1.6931      1.6498                         0.3703                │
    │                                                                                                                                                                                                      │
    ╰──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────╯
    ╭─ calm-heron-3 ──────────────────────────────── da81edae ─╮╭─ loss ────────────────────────────────── train 0.0216  val 0.0974 ─╮╭─ accuracy ────────────────────────────── train 0.9994  val 0.9822 ─╮
    │ status      ✓ finished                                   ││      │                                                             ││   1.0┤                              ⣀⣀⣀⠤⠤⠤⠒⠒⠒⠒⠒⢒⣒⡲⠶⢎⣉⣉⡉⠉⠉⢉⣉⣉⣉⠭⠭⠭⣉⣉ │
    │ started     2026-11-20 11:29:00 UTC, 31m ago             ││   1.6┤⡄                                                            ││      │                       ⣀⡠⠤⠒⢊⣉⠭⠤⠒⠒⠉⠉⠉⠒⠒⠒⠉⠉⠁      ⠈⠉⠉⠁         │
    │ time        1m 30s, CPU 2m 42s                           ││      │⣷                                                            ││      │                   ⢀⡠⣒⠭⠔⠒⠒⠉⠁                                 │
    │ commit      84a56972 on main                             ││      │⢸⡄                                                           ││      │                 ⡠⢒⠕⠊                                        │
    │             Halve the learning rate                      ││      │⠈⡇                                                           ││   0.9┤              ⢀⠔⡩⠒⠁                                          │
    │                                                          ││   1.4┤ ⢻                                                           ││      │             ⡠⡣⠊                                             │
    │ Metrics                                                  ││      │ ⢸⡆                                                          ││      │           ⢀⢎⠔⠁                                              │
    │ test_accuracy          0.9782                            ││      │  ⣧                                                          ││      │          ⢠⡪⠃                                                │
    │ train_accuracy         0.9994                            ││   1.2┤  ⢹                                                          ││   0.8┤         ⢠⡗⠁                                                 │
    │ train_loss             0.0216                            ││      │  ⠘⡇                                                         ││      │        ⢠⡟                                                   │
    │ val_accuracy           0.9822  most 0.9888 at 19         ││      │   ⢻⡀                                                        ││      │       ⢀⡾⠁                                                   │
    │ val_loss               0.0974  least 0.0889 at 17        ││   1.0┤   ⠈⣧                                                        ││      │       ⣼⠃                                                    │
    │ system.memory_bytes    1.22e9                            ││      │    ⠸⣇                                                       ││   0.7┤      ⣸⠎                                                     │
    │                                                          ││      │     ⢻⡄                                                      ││      │     ⢠⡟                                                      │
    │ Parameters                                               ││   0.8┤     ⠈⣷                                                      ││      │     ⣾⠁                                                      │
    │ batch_size  64                                           ││      │      ⠸⣣                                                     ││      │    ⢰⡇                                                       │
    │ epochs      20                                           ││      │       ⢱⢇                                                    ││      │   ⢀⡿                                                        │
    │ lr          0.003                                        ││      │        ⢫⢆                                                   ││   0.6┤   ⣼⠃                                                        │
    │ model       cnn                                          ││   0.6┤        ⠈⢎⢆                                                  ││      │  ⢠⡏                                                         │
    │ seed        1                                            ││      │         ⠈⢎⢆                                                 ││      │  ⣸⠁                                                         │
    │                                                          ││      │          ⠈⢪⢆                                                ││      │  ⡟                                                          │
    │ Inputs                                                   ││   0.4┤            ⠣⡑⡄                                              ││   0.5┤ ⢸⠇                                                          │
    │ data/digits                                     e11c0167 ││      │             ⠈⢎⠢⣀                                            ││      │ ⡾                                                           │
    │                                                          ││      │               ⠑⠤⡉⠒⢄⡀                                        ││      │⢠⡇                                                           │
    │ Outputs                                                  ││   0.2┤                 ⠈⠒⢄⡈⠑⠢⢄                                     ││      │⣸                                                            │
    │ model  9 files, 1.4 MiB                         40ade198 ││      │                    ⠈⠒⠤⣀⡉⠒⠢⠤⠤⠤⠤⠤⠤⣀⣀⡀                         ││   0.4┤⡏                                                            │
    │                                                          ││      │                        ⠈⠉⠒⠢⠤⠤⣀⣀⣀  ⠈⠉⠒⠒⠒⠒⠒⠊⠉⠉⠉⠉⠉⠑⠒⠒⠊⠉⠉⠉⠉⠉⠉⠒⠒ ││      │                                                             │
    │ How                                                      ││   0.0┤                                 ⠉⠉⠉⠉⠉⠉⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠤⠤⠤⠤⠤ ││      │                                                             │
    │ experiment  cnn                                          ││      ╰────────────┬───────────────┬───────────────┬─────────────── ││      ╰────────────┬───────────────┬───────────────┬─────────────── │
    │ command     git-ml-torch train job.json                  ││                   5              10              15           step ││                   5              10              15           step │
    ╰──────────────────────────────────────────────────────────╯╰────────────────────────────────────────────────────────────────────╯╰────────────────────────────────────────────────────────────────────╯
     Enter open  / filter  f find  s sort  v columns  b group  Space mark  Tab next view  : commands  ? help  q quit
    ");
}

#[test]
fn registry_small() {
    insta::assert_snapshot!(picture(&[TAB], SMALL), @r"
     digits · …  ⠋ 1 running   1 Runs  2 Registry  3 Compare  4 Artifacts  5 Sweeps
    ╭─ Models ───── 2 ─╮╭─ digits ──────────────────────────────────── 3 versions ─╮
    │ digits        v3 ││     aliases              test_accuracy  run              │
    │ mnist-mlp     v1 ││ v3  staging                     0.9782  calm-heron-3     │
    │                  ││ v2  champion production         0.9786  bold-ember-21    │
    │                  ││ v1                              0.9761  lucid-comet-18   │
    │                  ││                                                          │
    │                  ││                                                          │
    │                  ││                                                          │
    │                  ││                                                          │
    │                  ││                                                          │
    │                  ││                                                          │
    │                  ││                                                          │
    │                  ││                                                          │
    │                  │╰──────────────────────────────────────────────────────────╯
    │                  │╭─ History ────────────────────────────────────────────────╮
    │                  ││   1h ago  production: v1 -> v2  by Ada Lovelace          │
    │                  ││   3h ago  staging: v2 -> v3  by Ada Lovelace             │
    │                  ││   5h ago  registered v3  by Ada Lovelace                 │
    │                  ││   6h ago  registered v2  by Ada Lovelace                 │
    │                  ││   8h ago  registered v1  by Ada Lovelace                 │
    │                  ││                                                          │
    ╰──────────────────╯╰──────────────────────────────────────────────────────────╯
     Enter open  → versions  ← models  p promote  b roll back  ? help  q quit
    ");
}

#[test]
fn registry_large() {
    insta::assert_snapshot!(picture(&[TAB, ENTER], LARGE), @r"
     git ml  digits · main  ⠋ 1 running                                                                                                       1 Runs 12   2 Registry 2   3 Compare   4 Artifacts   5 Sweeps
    ╭─ Models ───────────────────────── 2 ─╮╭─ digits ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────── 3 versions ─╮
    │ digits                            v3 ││     aliases              test_accuracy  val_accuracy  val_loss  run             commit    registered  by                note                                 │
    │ mnist-mlp                         v1 ││ v3  staging                     0.9782        0.9822    0.0974  calm-heron-3    84a56972      5h ago  Ada Lovelace                                           │
    │                                      ││ v2  champion production         0.9786        0.9826    0.1129  bold-ember-21   6c6c8d45      6h ago  Ada Lovelace      smaller learning rate                │
    │                                      ││ v1                              0.9761        0.9801    0.0917  lucid-comet-18  90857d58      8h ago  Ada Lovelace                                           │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      ││                                                                                                                                                              │
    │                                      │╰──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────╯
    │                                      │╭─ History ────────────────────────────────────────────────────────────────────╮╭─ digits@v3 ──────────────────────────────────────────────────────────────────╮
    │                                      ││   1h ago  production: v1 -> v2  by Ada Lovelace                              ││ run        calm-heron-3  finished, 31m ago  Enter opens it                   │
    │                                      ││   3h ago  staging: v2 -> v3  by Ada Lovelace                                 ││ code       84a56972  Halve the learning rate                                 │
    │                                      ││   5h ago  registered v3  by Ada Lovelace                                     ││ data       data/digits  e11c0167                                             │
    │                                      ││   6h ago  registered v2  by Ada Lovelace                                     ││ artifact   40ade198  model                                                   │
    │                                      ││   8h ago  registered v1  by Ada Lovelace                                     ││ registered 5h ago  by Ada Lovelace                                           │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    │                                      ││                                                                              ││                                                                              │
    ╰──────────────────────────────────────╯╰──────────────────────────────────────────────────────────────────────────────╯╰──────────────────────────────────────────────────────────────────────────────╯
     Enter open  → versions  ← models  p promote  b roll back  i origin  : commands  ? help  q quit
    ");
}

#[test]
fn help_small() {
    insta::assert_snapshot!(picture(&[key('?')], SMALL), @r"
     digits · …  ⠋ 1 running   1 Runs  2 Registry  3 Compare  4 Artifacts  5 Sweeps
    ╭─ Keys ───────────────────────────────────────────────────────────────────────╮
    │ Runs                                                                         ┃
    │ Enter l →             open the run                                           │
    │ /                     show only the runs that match a query                  │
    │ f                     find a run by letters of its name                      │
    │ s                     sort by the next column                                │
    │ S                     sort the other way round                               │
    │ o                     sort by a column of your choice                        │
    │ v                     choose the columns and their order                     │
    │ b                     group the runs                                         │
    │ h ←                   fold the group                                         │
    │ z                     fold all groups, or unfold them                        │
    │ Space                 mark the run for comparison, or unmark it              │
    │ c                     compare the marked runs                                │
    │ u                     unmark all runs                                        │
    │ e                     write a note on the run                                │
    │ i                     copy the run's id                                      │
    │ I                     copy the id of the run's commit                        │
    │ d                     look at the run's commit with `git show`               │
    │ R                     register the run's model                               │
    │ Del                   remove the run from the lists, after a question        │
    ╰──────────────────────────────────────────────────────────────────────────────╯
     Esc close
    ");
}

#[test]
fn the_first_frame_says_that_it_is_loading() {
    let mut app = App::new("digits · main".to_owned(), (60, 15), now());
    app.start();
    insta::assert_snapshot!(text(&buffer(&app, (60, 15))), @r"
     git ml  digits · main                   1 Runs  2  3  4  5
    ╭─ Runs ───────────────────────────────────────────────────╮
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    │                    Loading the runs …                    │
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    ╰──────────────────────────────────────────────────────────╯
     Enter open  / filter  f find  s sort  ? help  q quit
    ");
}

#[test]
fn an_empty_repository_says_how_to_begin() {
    let mut source = FakeSource::default();
    source.runs.clear();
    source.models.clear();
    let mut desk = Desk::over(source, (60, 15));
    insta::assert_snapshot!(text(&buffer(&desk.app, (60, 15))), @r"
     git ml  digits · main                 1 Runs 0  2  3  4  5
    ╭─ Runs ────────────────────────────────────────── 0 runs ─╮
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    │  No runs yet. Start one with `git ml run -- COMMAND` or  │
    │           `git ml train`; it will appear here.           │
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    ╰──────────────────────────────────────────────────────────╯
     Enter open  / filter  f find  s sort  ? help  q quit
    ");
    desk.keys(&[TAB]);
    insta::assert_snapshot!(text(&buffer(&desk.app, (60, 15))), @r"
     git ml  digits · main             1  2 Registry 0  3  4  5
    ╭─ Models ─────────────────────────────────────────────────╮
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    │  No models yet. `R` registers a run's model, here or in  │
    │                    the table of runs.                    │
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    │                                                          │
    ╰──────────────────────────────────────────────────────────╯
     Enter open  → versions  ← models  ? help  q quit
    ");
}

#[test]
fn a_wrong_filter_is_shown_where_it_is_wrong() {
    let mut desk = Desk::new((60, 15));
    desk.keys(&[key('/')]);
    desk.type_text("metrics.val_loss >< 3");
    insta::assert_snapshot!(text(&buffer(&desk.app, (60, 15))), @r"
     git ml  digits · main  ⠋ 1 running   1 Runs 12  2  3  4  5
    ╭─ Runs ───────────────────────────────────────── 12 runs ─╮
    │    run              ↓started     time  val_accuracy      ┃
    │ ⠋  brave-otter-12     2m ago   2m 00s        0.6845      ┃
    │ ✓  calm-heron-3      31m ago   1m 30s        0.9822      ┃
    │ ✓  quiet-lynx-40     58m ago   1m 30s        0.9673      ┃
    │ ✗  swift-maple-7      2h ago      14s        0.7487      │
    │ ✓  bold-ember-21      5h ago   1m 30s        0.9826      │
    │ ✓  gentle-river-9     7h ago   1m 31s        0.9898      │
    │ !  keen-falcon-33    25h ago      41s        0.9446      │
    ╰──────────────────────────────────────────────────────────╯
     / metrics.val_loss >< 3

       expected a number, which `metrics.val_loss` is, found …
     Enter keep  Esc drop  Ctrl-U clear  Ctrl-W erase word
    ");
}

#[test]
fn every_size_can_be_drawn() {
    let sizes = [(1, 1), (2, 50), (59, 15), (60, 14), (60, 15), (61, 16), (79, 23), (111, 33), (130, 30), (300, 90)];
    for size in sizes {
        let first = ['?', '/', ':', 'v', 'b', 'f', 'N', '3', '4', '5'].map(|letter| vec![key(letter)]);
        let views = [vec![], vec![ENTER], vec![ENTER, TAB], vec![ENTER, TAB, TAB], vec![TAB], vec![TAB, ENTER]];
        for keys in views.iter().chain(&first) {
            let mut desk = Desk::new(size);
            desk.keys(keys);
            let drawn = text(&buffer(&desk.app, size));
            if size.0 < 60 || size.1 < 15 {
                let words = drawn.trim();
                assert!("git ml ui needs 60×15".starts_with(words) && !words.is_empty(), "{size:?} {words}");
            }
        }
    }
}

#[test]
fn a_frame_that_the_state_does_not_fit_is_left_empty() {
    let mut desk = Desk::new(LARGE);
    assert!(text(&buffer(&desk.app, SMALL)).trim().is_empty());
    desk.app.update(Action::Resize(80, 24));
    assert!(text(&buffer(&desk.app, SMALL)).contains("brave-otter-12"));
}

#[test]
fn hostile_text_cannot_reach_the_terminal() {
    let mut source = FakeSource::default();
    let evil = "\x1b]0;owned\x07\u{202e}evil\r\n\u{200b}";
    for run in &mut source.runs {
        run.name = evil.to_owned();
        run.reason = Some(evil.to_owned());
        run.params.insert(evil.to_owned(), evil.repeat(40));
        let metric = run.metrics["val_loss"];
        run.metrics.insert(evil.to_owned(), metric);
        run.command = vec![evil.to_owned()];
    }
    source.models[0].name = evil.to_owned();
    source.log = evil.as_bytes().to_vec();
    for keys in [&[][..], &[ENTER, TAB, TAB], &[TAB]] {
        let mut desk = Desk::over(source.clone(), LARGE);
        desk.keys(keys);
        let drawn = text(&buffer(&desk.app, LARGE));
        assert!(!drawn.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{200b}'));
    }
}

#[test]
fn the_best_value_of_a_metric_stands_out() {
    let desk = Desk::new(SMALL);
    let buffer = buffer(&desk.app, SMALL);
    let drawn = text(&buffer);
    let bold_rows = |title: &str| {
        let heading = drawn.lines().nth(2).unwrap();
        let end = heading[..heading.find(title).unwrap()].chars().count() + title.len() - 1;
        let x = u16::try_from(end).unwrap();
        (3..15).filter(|y| buffer[(x, *y)].modifier.contains(Modifier::BOLD)).collect::<Vec<u16>>()
    };
    assert_eq!((bold_rows("val_accuracy").len(), bold_rows("val_loss").len()), (1, 1));
}

#[test]
fn registry_promotion() {
    insta::assert_snapshot!(picture(&[key('2'), ENTER, key('p'), ENTER], SMALL), @r"
     digits · …  ⠋ 1 running   1 Runs  2 Registry  3 Compare  4 Artifacts  5 Sweeps
    ╭─ Models ───── 2 ─╮╭─ digits ──────────────────────────────────── 3 versions ─╮
    │ digits        v3 ││     aliases              test_accuracy  run              │
    │ ╭─ Promote? ───────────────────────────────────────────────────────────────╮ │
    │ │ digits@champion: v2 -> v3                                                │ │
    │ │ Last: production: v1 -> v2 by Ada Lovelace, 1h ago                       │ │
    │ │                                                                          │ │
    │ │ The gate champion opens                                                  │ │
    │ │ ✓ metrics.test_accuracy >= 0.97                                          │ │
    │ │                                                                          │ │
    │ │                           v2            v3                               │ │
    │ │ test_accuracy         0.9786        0.9782  -4.18e-4 worse               │ │
    │ │ val_accuracy          0.9826        0.9822  -4.18e-4 worse               │ │
    │ │ val_loss              0.1129        0.0974  -0.0155 better               │ │
    │ │ train_accuracy        0.9962        0.9994  +0.0032 better               │─╯
    │ │ train_loss            0.0299        0.0216  -0.0083 better               │─╮
    │ │                                                                          │ │
    │ │ Enter or y: do it   Esc or n: leave it                                   │ │
    │ ╰──────────────────────────────────────────────────────────────────────────╯ │
    │                  ││   6h ago  registered v2  by Ada Lovelace                 │
    │                  ││   8h ago  registered v1  by Ada Lovelace                 │
    │                  ││                                                          │
    ╰──────────────────╯╰──────────────────────────────────────────────────────────╯
     y yes  n no
    ");
}

#[test]
fn registry_origin() {
    insta::assert_snapshot!(picture(&[key('2'), ENTER, key('i')], (60, 15)), @r"
     git ml  digits · …  ⠋ 1 running   1  2 Registry 2  3  4  5
    ╭─ Models ───── 2 ─╮╭─ digits ──────────────── 3 versions ─╮
    │ digits        v3 ││     aliases              registered  │
    │ mnist-mlp     v1 ││ v3  staging                  5h ago  │
    │                  ││ v2  champion production      6h ago  │
    │                  ││ v1                           8h ago  │
    │                  ││                                      │
    │                  ││                                      │
    │                  │╰──────────────────────────────────────╯
    │                  │╭─ digits@v3 ──────────────────────────╮
    │                  ││ run        calm-heron-3  finished, 3 │
    │                  ││ code       84a56972  Halve the learn │
    │                  ││ data       data/digits  e11c0167     │
    ╰──────────────────╯╰──────────────────────────────────────╯
     Enter open  → versions  ← models  ? help  q quit
    ");
}
