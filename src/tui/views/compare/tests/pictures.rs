//! How the comparison looks, at all sizes.

use super::*;

#[test]
fn table_small() {
    insta::assert_snapshot!(picture(&desk(SMALL, 0)), @r"
     git ml  digits · m…  ⠋ 1 running   1  2  3 Compare 2  4  5
     Table  Charts  Code  Data  Confusion        against calm-…
    ╭─ What differs ───────────────────────────────────────────╮
    │                 calm-heron-3         quiet-lynx-40       ┃
    │ Metrics                                                  ┃
    │   test_accura…  0.9782               0.9633 -0.0149      ┃
    │   train_accur…  0.9994               0.9873 -0.0121      ┃
    │   train_loss    0.0216               0.0530 +0.0313      ┃
    │   val_accuracy  0.9822               0.9673 -0.0149      │
    │   val_loss      0.0974               0.1231 +0.0257      │
    │                                                          │
    │ Parameters                                               │
    │   lr            0.003                0.001               │
    ╰──────────────────────────────────────────────────────────╯
     a all  Tab next pane  n next run  Esc back  ? help  q quit
    ");
}

#[test]
fn table_medium() {
    insta::assert_snapshot!(picture(&desk(MEDIUM, 0)), @r"
     digits · …  ⠋ 1 running   1 Runs  2 Registry  3 Compare  4 Artifacts  5 Sweeps
     Table  Charts  Code  Data  Confusion                      against calm-heron-3
    ╭─ What differs ───────────────────────────────────────────────────────────────╮
    │                      calm-heron-3                quiet-lynx-40               │
    │ Metrics                                                                      │
    │   test_accuracy      0.9782                      0.9633 -0.0149              │
    │   train_accuracy     0.9994                      0.9873 -0.0121              │
    │   train_loss         0.0216                      0.0530 +0.0313              │
    │   val_accuracy       0.9822                      0.9673 -0.0149              │
    │   val_loss           0.0974                      0.1231 +0.0257              │
    │                                                                              │
    │ Parameters                                                                   │
    │   lr                 0.003                       0.001                       │
    │                                                                              │
    │ Run                                                                          │
    │   experiment         cnn                         mlp                         │
    │   started            2026-11-20 11:29            2026-11-20 11:02            │
    │                                                                              │
    │ Outputs                                                                      │
    │   model              40ade198                    9d15c5b9                    │
    │                                                                              │
    │                                                                              │
    ╰──────────────────────────────────────────────────────────────────────────────╯
     a all  Tab next pane  n next run  Esc back  : commands  ? help  q quit
    ");
}

#[test]
fn table_large() {
    insta::assert_snapshot!(picture(&desk(LARGE, 0)), @r"
     git ml  digits · main  ⠋ 1 running                                                                                                     1 Runs 12   2 Registry 2   3 Compare 2   4 Artifacts   5 Sweeps
     Table  Charts  Code  Data  Confusion                                                                                                                                              against calm-heron-3
    ╭─ What differs ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────╮
    │                                   calm-heron-3                    quiet-lynx-40                                                                                                                      │
    │ Metrics                                                                                                                                                                                              │
    │   test_accuracy                   0.9782                          0.9633 -0.0149                                                                                                                     │
    │   train_accuracy                  0.9994                          0.9873 -0.0121                                                                                                                     │
    │   train_loss                      0.0216                          0.0530 +0.0313                                                                                                                     │
    │   val_accuracy                    0.9822                          0.9673 -0.0149                                                                                                                     │
    │   val_loss                        0.0974                          0.1231 +0.0257                                                                                                                     │
    │                                                                                                                                                                                                      │
    │ Parameters                                                                                                                                                                                           │
    │   lr                              0.003                           0.001                                                                                                                              │
    │                                                                                                                                                                                                      │
    │ Run                                                                                                                                                                                                  │
    │   experiment                      cnn                             mlp                                                                                                                                │
    │   started                         2026-11-20 11:29                2026-11-20 11:02                                                                                                                   │
    │                                                                                                                                                                                                      │
    │ Outputs                                                                                                                                                                                              │
    │   model                           40ade198                        9d15c5b9                                                                                                                           │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    │                                                                                                                                                                                                      │
    ╰──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────╯
     a all  Tab next pane  n next run  Esc back  : commands  ? help  q quit                                                                                                                   2 runs marked
    ");
}

#[test]
fn charts_medium() {
    insta::assert_snapshot!(picture(&desk(MEDIUM, 1)), @r"
     digits · …  ⠋ 1 running   1 Runs  2 Registry  3 Compare  4 Artifacts  5 Sweeps
     Table  Charts  Code  Data  Confusion                      against calm-heron-3
    ╭─ train_loss ──────── 0.0216  0.0530 ─╮╭─ val_loss ────────── 0.0974  0.1231 ─╮
    │     2┤⢄                              ││     2┤⢄                              ┃
    │      │⢢⠣⡀                            ││      │⢢⠣⡀                            ┃
    │      │ ⠣⡈⠢⡀                          ││      │ ⠣⡈⠢⢄                          ┃
    │     1┤  ⠘⢄⠈⠒⢄⡀                       ││     1┤  ⠘⢄⡀⠉⠢⢄⣀                      ┃
    │      │    ⠑⠤⣀⠈⠉⠒⠢⠤⣀⡀                 ││      │    ⠈⠒⠤⣀⣀⠉⠑⠒⠤⢄⣀⣀⡀              ┃
    │     0┤       ⠉⠉⠒⠒⠒⠤⠬⠭⠭⠵⠶⣒⣒⣒⣤⣤⣤⣤⣤⣤⣤⣤⣤ ││     0┤         ⠉⠑⠒⠒⠒⠒⠒⠪⠭⠭⠵⠶⠶⠶⠶⠶⠶⠶⠶⠶⠤ ┃
    │      ╰──────┬───────┬──────┬──────── ││      ╰──────┬───────┬──────┬──────── ┃
    │             5      10     15    step ││             5      10     15    step ┃
    ╰──────────────────────────────────────╯╰──────────────────────────────────────┃
    ╭─ train_accuracy ──── 0.9994  0.9873 ─╮╭─ val_accuracy ────── 0.9822  0.9673 ─┃
    │   1.0┤       ⣀⣀⠤⠔⠒⠒⢒⣒⠭⠭⠭⠭⠝⠛⠛⠛⠛⠛⠛⠛⠋⠉⠉ ││   1.0┤       ⣀⣀⠤⠤⠤⠒⢒⣒⣒⡲⠶⠶⠶⠶⠛⠛⠛⠓⠒⠛⠛⠛⠒ ┃
    │      │   ⢀⡠⠒⠉⢀⣀⠤⠔⠒⠉⠁                 ││      │    ⡠⠒⠉⢀⣀⠤⠔⠒⠉⠁                 ┃
    │      │  ⡰⠁⢀⠤⠊⠁                       ││      │  ⡠⠊⢀⠤⠊⠁                       │
    │   0.5┤⢀⠎⡠⠊⠁                          ││   0.5┤⢀⠎⢠⠊⠁                          │
    │      │⢊⠎                             ││      │⢊⠔⠁                            │
    │      │⠁                              ││      │⠁                              │
    │      ╰──────┬───────┬──────┬──────── ││      ╰──────┬───────┬──────┬──────── │
    │             5      10     15    step ││             5      10     15    step │
    ╰──────────────────────────────────────╯╰──────────────────────────────────────╯
     ━ calm-heron-3  0.0216        ━ quiet-lynx-40  0.0530
     Enter fill  v values  + zoom  x x axis  y log y  s smooth  ? help  q quit
    ");
}

#[test]
fn code_small() {
    insta::assert_snapshot!(picture(&code(SMALL)), @r"
     git ml  digits · m…  ⠋ 1 running   1  2  3 Compare 2  4  5
     Table  Charts  Code  Data  Confusion       quiet… → swift…
    ╭─ Code ───────────────────────────────────────── 3 files ─╮
    │ M ml.toml                                          +1 -1 ┃
    │ A src/augment.py                                  +12 -0 │
    ╰──────────────────────────────────────────────────────────╯
    ╭─ ml.toml ────────────────────────────────────────────────╮
    │@@ -3,3 +3,3 @@                                           │
    │    3  [experiments.cnn.params]                           │
    │    4 -lr = 0.003                                         │
    │    4 +lr = 0.001                                         │
    │                                                          │
    │                                                          │
    ╰──────────────────────────────────────────────────────────╯
     a all  Tab next pane  n next run  Esc back  ? help  q quit
    ");
}

#[test]
fn code_large() {
    insta::assert_snapshot!(picture(&code((120, 15))), @r"
     git ml  digits · main  ⠋ 1 running                     1 Runs 12   2 Registry 2   3 Compare 2   4 Artifacts   5 Sweeps
     Table  Charts  Code  Data  Confusion                                                     quiet-lynx-40 → swift-maple-7
    ╭─ Code ───────────────────── 3 files ─╮╭─ ml.toml ────────────────────────────────────────────────────────────────────╮
    │ M ml.toml                      +1 -1 ││@@ -3,3 +3,3 @@                                                               │
    │ A src/augment.py              +12 -0 ││    3  [experiments.cnn.params]                                               │
    │ D weights.bin                no text ││    4 -lr = 0.003                                                             │
    │                                      ││    4 +lr = 0.001                                                             │
    │                                      ││                                                                              │
    │                                      ││                                                                              │
    │                                      ││                                                                              │
    │                                      ││                                                                              │
    │                                      ││                                                                              │
    │                                      ││                                                                              │
    ╰──────────────────────────────────────╯╰──────────────────────────────────────────────────────────────────────────────╯
     a all  Tab next pane  n next run  Esc back  : commands  ? help  q quit                                   2 runs marked
    ");
}

#[test]
fn confusion_small() {
    insta::assert_snapshot!(picture(&desk(SMALL, 4)), @r"
     git ml  digits · m…  ⠋ 1 running   1  2  3 Compare 2  4  5
     Table  Charts  Code  Data  Confusion       calm-… → quiet…
    ╭─ difference ──────────────────────────── ← → the others ─╮
    │ truth ↓  prediction →                                    │
    │          one  four seven                                 │
    │   one      ·     ·     ·                                 │
    │  four      ·     ·     ·                                 │
    │ seven    +18    +1   -19                                 │
    │                                                          │
    │ mistakes that differ most                                │
    │    +18  seven taken for one                              │
    │     +1  seven taken for four                             │
    │                                                          │
    ╰──────────────────────────────────────────────────────────╯
     a all  Tab next pane  n next run  Esc back  ? help  q quit
    ");
}

#[test]
fn confusion_large() {
    insta::assert_snapshot!(picture(&desk((140, 15), 4)), @r"
     git ml  digits · main  ⠋ 1 running                                         1 Runs 12   2 Registry 2   3 Compare 2   4 Artifacts   5 Sweeps
     Table  Charts  Code  Data  Confusion                                                                          calm-heron-3 → quiet-lynx-40
    ╭─ calm-heron-3 · test ──────────────────────╮╭─ quiet-lynx-40 · test ──────────────────────╮╭─ difference ────────────────────────────────╮
    │ truth ↓  prediction →                      ││ truth ↓  prediction →                       ││ truth ↓  prediction →                       │
    │          one  four seven                   ││          one  four seven                    ││          one  four seven                    │
    │   one     97     ·     3                   ││   one     97     ·     3                    ││   one      ·     ·     ·                    │
    │  four      1    99     ·                   ││  four      1    99     ·                    ││  four      ·     ·     ·                    │
    │ seven      2     ·    98                   ││ seven     20     1    79                    ││ seven    +18    +1   -19                    │
    │                                            ││                                             ││                                             │
    │ most frequent mistakes                     ││ most frequent mistakes                      ││ mistakes that differ most                   │
    │      3  one taken for seven                ││     20  seven taken for one                 ││    +18  seven taken for one                 │
    │      2  seven taken for one                ││      3  one taken for seven                 ││     +1  seven taken for four                │
    │      1  four taken for one                 ││      1  four taken for one                  ││                                             │
    ╰────────────────────────────────────────────╯╰─────────────────────────────────────────────╯╰─────────────────────────────────────────────╯
     a all  Tab next pane  n next run  Esc back  : commands  ? help  q quit                                                       2 runs marked
    ");
}

#[test]
fn every_pane_is_drawn_at_any_size_and_with_any_colours() {
    for panes in 0..5 {
        for size in [(60, 15), (61, 16), (80, 24), (131, 20), (200, 50)] {
            let desk = desk(size, panes);
            for depth in [ColorDepth::None, ColorDepth::Sixteen, ColorDepth::Indexed] {
                buffer(&desk, depth);
            }
        }
    }
}
