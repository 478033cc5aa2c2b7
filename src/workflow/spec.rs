//! Steps that are specified by their kind and types alone, and performed elsewhere.

use crate::base::name::Name;
use core::fmt;
use core::marker::PhantomData;

/// The specification of a step: its kind, its input and its output, without the work. A constant that the builder takes as a
/// step, and from which the functions that perform it get their types, in this process or in another one.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{Attempt, StepSpec, Steps, Workflow};
///
/// const SUMMARISE: StepSpec<String, String> = StepSpec::new("summarise");
///
/// let flow = Workflow::<Vec<String>, Vec<String>>::named("digest");
/// let digest = flow.output(flow.map(SUMMARISE, flow.input()))?;
///
/// let steps = Steps::new().with_fn(SUMMARISE, |text, _: &Attempt| {
///     text.split('.').next().map(str::to_owned).ok_or_else(|| Failure::permanent("nothing to say"))
/// });
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
///
/// A function of other types does not compile:
///
/// ```compile_fail,E0271
/// # use counterpoint::Failure;
/// # use counterpoint::workflow::{Attempt, StepSpec, Steps};
/// # const SUMMARISE: StepSpec<String, String> = StepSpec::new("summarise");
/// let steps = Steps::new().with_fn(SUMMARISE, |_, _: &Attempt| Ok(7)); // a String, and not a number
/// ```
///
/// ```compile_fail,E0631
/// # use counterpoint::Failure;
/// # use counterpoint::workflow::{Attempt, Steps, StepSpec};
/// # const SUMMARISE: StepSpec<String, String> = StepSpec::new("summarise");
/// let steps = Steps::new().with_fn(SUMMARISE, |text: u32, _: &Attempt| Ok(text.to_string())); // the input is a String
/// ```
///
/// Nor can it be undone: [`undoable`](Self::undoable) specifies a step that can.
///
/// ```compile_fail,E0277
/// # use counterpoint::workflow::{StepSpec, Workflow};
/// # const SUMMARISE: StepSpec<String, String> = StepSpec::new("summarise");
/// # let flow = Workflow::<String, String>::named("digest");
/// let digest = flow.step(SUMMARISE, flow.input()).undoable(); // the specification has no undo
/// ```
pub struct StepSpec<I, O> {
    kind: &'static str,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> StepSpec<I, O> {
    /// A step of this kind.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        Self { kind, types: PhantomData }
    }

    /// A step that can be compensated, too. The compensating task has the kind `"{kind}.undo"`.
    #[must_use]
    pub const fn undoable(self) -> UndoSpec<I, O> {
        UndoSpec(self)
    }

    /// The kind of the task, and the skill that an agent needs.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        self.kind
    }
}

/// The specification of a step that can be compensated: see [`StepSpec::undoable`].
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{Attempt, StepSpec, Steps, UndoSpec, Workflow};
///
/// const PUBLISH: UndoSpec<String, u64> = StepSpec::new("publish").undoable();
///
/// let flow = Workflow::<String, u64>::named("site");
/// let site = flow.output(flow.step(PUBLISH, flow.input()).undoable())?;
///
/// let steps = Steps::new().with_undo_fn(
///     PUBLISH,
///     |_page, _: &Attempt| Ok::<_, Failure>(17),
///     |done, _: &Attempt| if done.certain { Ok(()) } else { Err(Failure::transient("not yet")) },
/// );
/// let kinds: Vec<&str> = steps.kinds().map(|kind| kind.as_str()).collect();
/// assert_eq!(kinds, ["publish", "publish.undo"]);
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
///
/// An agent that performs it without an undo does not compile:
///
/// ```compile_fail,E0277
/// # use counterpoint::Failure;
/// # use counterpoint::workflow::{Attempt, StepSpec, Steps, UndoSpec};
/// # const PUBLISH: UndoSpec<String, u64> = StepSpec::new("publish").undoable();
/// let steps = Steps::new().with_fn(PUBLISH, |_page: String, _: &Attempt| Ok::<u64, Failure>(17));
/// ```
pub struct UndoSpec<I, O>(StepSpec<I, O>);

impl<I, O> UndoSpec<I, O> {
    /// The specification without the undo.
    #[must_use]
    pub const fn step(self) -> StepSpec<I, O> {
        self.0
    }

    /// The kind of the compensating task.
    #[must_use]
    pub fn undo_kind(self) -> Name {
        undo_kind(self.0.kind)
    }
}

/// The kind of the compensation of a step that is specified by its kind.
pub(super) fn undo_kind(kind: &str) -> Name {
    Name::from(format!("{kind}.undo"))
}

impl<I, O> Clone for StepSpec<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for StepSpec<I, O> {}

impl<I, O> Clone for UndoSpec<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for UndoSpec<I, O> {}

impl<I, O> fmt::Debug for StepSpec<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepSpec({})", self.kind)
    }
}

impl<I, O> fmt::Debug for UndoSpec<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UndoSpec({})", self.0.kind)
    }
}

/// The kind of a step that a function performs: a name, or a [`StepSpec`], which also fixes the types of the function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the kind of a step that one function performs",
    note = "a name or a `StepSpec`; for an `UndoSpec` there is `with_undo_fn`"
)]
pub trait StepKind<I, O> {
    /// The kind.
    fn name(self) -> Name;
}

// One implementation for all that converts into a name would hide the message above.
macro_rules! names {
    ($($name:ty),+) => {$(
        impl<I, O> StepKind<I, O> for $name {
            fn name(self) -> Name {
                self.into()
            }
        }
    )+};
}

names!(&str, String, Name, &Name);

impl<I, O> StepKind<I, O> for StepSpec<I, O> {
    fn name(self) -> Name {
        self.kind.into()
    }
}
