//! rule-compiler
