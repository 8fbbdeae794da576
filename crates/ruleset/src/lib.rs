//! The built-in rules as a static table, compiled from `rules/` at build time.
//!
//! The prose and the examples stay in `rules/`; what a rule means to a call is `guard`'s.

use std::borrow::Cow;

use clampd_detect::{Form, Reach, Rule, Signal, ToolSet, Words};
use clampd_model::{Severity, SurfaceSet};

include!(concat!(env!("OUT_DIR"), "/rules.rs"));
