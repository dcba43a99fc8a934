//! The terminal dashboard: one `App` with `update(Action) -> Effects`, and `draw(&App)`.
//!
//! Architecture invariant: `update` does no input or output; effects are carried out by the loop around it.
