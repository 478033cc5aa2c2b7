//! Parts of SVG pictures: axes, texts, and a common style.
//!
//! The folder uses no other part of the crate: the package with the charts of the examples includes it as it is.

mod axis;
mod text;

pub(crate) use axis::{Axis, Frame, Quantity, time_ticks};
pub(crate) use text::{Span, fit, line, width, xml};

/// The rules of a picture; `§` stands for its class. The colours follow the reader's preference for a light or dark theme.
const RULES: &str = "\
§ text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
§ .h{font-size:17px;font-weight:600}\
§ .n{font-weight:600}\
§ .s{font-size:10px}\
§ .m{text-anchor:middle;font-size:10.5px}\
§ .e{text-anchor:end;font-size:10.5px}\
§ .bg{fill:#fff}§ .ink{fill:#1f2630}§ .dim{fill:#66707e}\
§ .lane{fill:#f4f6f8}§ .grid{stroke:#8a94a3;stroke-opacity:.22}\
@media (prefers-color-scheme:dark){\
§ .bg{fill:#12161d}§ .ink{fill:#e7eaef}§ .dim{fill:#9aa5b4}§ .lane{fill:#191f28}}";

/// The style sheet that all pictures share, for the elements inside of an element of this class.
pub(crate) fn theme(class: &str) -> String {
    RULES.replace('§', &format!(".{class}"))
}
