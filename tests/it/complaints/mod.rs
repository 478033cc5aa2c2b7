//! What people complain about in other systems, and what happens here: the tests that `docs/complaints.md` names.

mod joining;
mod lasting;
