//! What looks at every byte of a text, and is compiled for speed where the rest of the filter is
//! compiled for size: it copies ASCII in lower case ([`ascii`]), surveys which signs stand where
//! ([`Survey`]), finds the words of a list ([`Finder`]) and runs that may be encoded ([`runs`]). What
//! a word, a sign or a run means is `detect`'s.

pub mod ascii;
mod finder;
pub mod runs;
mod survey;

pub use finder::Finder;
pub use survey::{Survey, Traits};
