//! Colours and patterns.

use crate::base::draw::theme;
use core::fmt::Write as _;

/// The colours of kinds. Red is excluded because it marks failures. White text is legible on each of them, and each
/// contrasts with white and with black.
pub(super) const PALETTE: [&str; 12] = [
    "#4a6fd4", "#1b9a8c", "#c2841c", "#8d63cf", "#4f9440", "#2a8bc0", "#a0694a", "#bf5c9c", "#7b8730", "#3f7277",
    "#d07a3a", "#6c6fa8",
];

/// The rules beyond the common style.
const RULES: &str = "\
.cpt .l{fill:#fff;font-size:10.5px;pointer-events:none}\
.cpt .ko{fill:#8b95a3}\
.cpt .f{fill:url(#cpt-f);stroke:#d22c38;stroke-width:1.4}\
.cpt .u{fill:url(#cpt-u);stroke:#8a94a3;stroke-width:1.2;stroke-dasharray:3 2}\
.cpt .c{fill:#fff;fill-opacity:.6;stroke:#8a94a3;stroke-width:1}\
.cpt .o{fill:#fff;fill-opacity:.3;stroke:#66707e;stroke-width:1.2;stroke-dasharray:5 3}\
.cpt .off{fill:url(#cpt-off)}\
.cpt .lost{stroke:#d22c38;stroke-width:1.8;fill:none;stroke-linecap:round}\
.cpt .left{stroke:#8a94a3;stroke-width:1.4;fill:none}\
.cpt .r{stroke:#d22c38;stroke-width:1.2;stroke-dasharray:2 2.5;fill:none;stroke-opacity:.85}\
.cpt .df{fill:#d22c38}.cpt .t{fill:transparent}\
@media (prefers-color-scheme:dark){\
.cpt .c,.cpt .o{fill:#12161d}}";

const PATTERNS: &str = "<defs>\
<pattern id=\"cpt-f\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect width=\"6\" height=\"6\" fill=\"#fff\" fill-opacity=\".25\"/><rect width=\"3.2\" height=\"6\" fill=\"#d22c38\"/></pattern>\
<pattern id=\"cpt-u\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(-45)\">\
<rect width=\"6\" height=\"6\" fill=\"#fff\" fill-opacity=\".3\"/><rect width=\"3\" height=\"6\" fill=\"#7a8494\"/></pattern>\
<pattern id=\"cpt-off\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect width=\"1.2\" height=\"7\" fill=\"#8a94a3\" fill-opacity=\".4\"/></pattern></defs>";

/// Writes the style sheet with the colours of this number of kinds.
pub(super) fn write(out: &mut String, kinds: usize) {
    out.push_str("<style>");
    out.push_str(&theme("cpt"));
    out.push_str(RULES);
    for (at, colour) in PALETTE.iter().enumerate().take(kinds) {
        let _ = write!(out, ".cpt .k{at}{{fill:{colour}}}");
    }
    out.push_str("</style>\n");
    out.push_str(PATTERNS);
    out.push('\n');
}
