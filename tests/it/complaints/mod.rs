//! Common problems of other systems, and how the engine behaves: the tests that `docs/comparison.md` names.

mod joining;
mod lasting;
