//! Nothing: the bench `hostile` is what this is for.
