//! Git hooks: installing them, and what each does.
