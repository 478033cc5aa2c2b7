//! The XML of a document: bounds before it is read, and elements with their places.

use crate::interop::report::shown;
use roxmltree::{Document, Node, ParsingOptions};

/// The namespace of BPMN 2.0.
pub(super) const MODEL: &str = "http://www.omg.org/spec/BPMN/20100524/MODEL";

/// The most bytes of a document.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// The most elements of a document.
const MOST_ELEMENTS: u32 = 65_536;
/// The most levels of elements.
const MOST_DEPTH: u32 = 64;
/// The most attributes of an element. A reader compares each with all others.
const MOST_ATTRIBUTES: u32 = 64;
/// The most bytes of a tag.
const MOST_TAG: usize = 65_536;
/// The most declarations of namespaces. A reader copies those of the outer elements.
const MOST_NAMESPACES: u32 = 64;

/// Where the lines of a document begin.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at.saturating_add(1));
        Self { text, starts: core::iter::once(0).chain(ends).collect() }
    }

    /// The line and column of a byte, both from 1.
    pub(super) fn place(&self, at: usize) -> String {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        // A line may be the whole document: the column is counted up to a bound.
        let column = self.text.get(start..at).map_or(0, |before| before.chars().take(10_000).count());
        format!("{line}:{}", column.saturating_add(1))
    }
}

/// A document that cannot be read: the byte and the reason.
pub(super) struct Unreadable(pub(super) usize, pub(super) String);

/// Parses a document within the bounds. DTDs, and with them entities of a document's own, are refused.
pub(super) fn parse<'t>(text: &'t str, lines: &Lines<'_>) -> Result<Document<'t>, Unreadable> {
    Scan::of(text).all()?;
    let options = ParsingOptions { nodes_limit: MOST_ELEMENTS.saturating_mul(8), ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| {
        let pos = error.pos();
        let line = usize::try_from(pos.row).unwrap_or(1).saturating_sub(1);
        let start = lines.starts.get(line).copied().unwrap_or(0);
        let column = usize::try_from(pos.col).unwrap_or(1).saturating_sub(1);
        let at = text.get(start..).and_then(|rest| rest.char_indices().nth(column)).map_or(0, |(at, _)| at);
        Unreadable(start.saturating_add(at), format!("the XML is not well formed: {}", shown_error(&error)))
    })
}

/// The beginning of the reader's message, which can repeat names of the document.
fn shown_error(error: &roxmltree::Error) -> String {
    let text = error.to_string();
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Counts what a reader would spend memory or time on, in one pass over the bytes.
struct Scan<'t> {
    text: &'t str,
    at: usize,
    elements: u32,
    depth: u32,
    namespaces: u32,
}

impl<'t> Scan<'t> {
    const fn of(text: &'t str) -> Self {
        Self { text, at: 0, elements: 0, depth: 0, namespaces: 0 }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn all(mut self) -> Result<(), Unreadable> {
        if self.text.len() > MOST_BYTES {
            return Err(Unreadable(0, format!("the document has more than {MOST_BYTES} bytes")));
        }
        while let Some(found) = self.rest().find('<') {
            self.at = self.at.saturating_add(found);
            let rest = self.rest();
            if rest.starts_with("<!--") {
                self.skip("-->");
            } else if rest.starts_with("<![CDATA[") {
                self.skip("]]>");
            } else if rest.starts_with("<?") {
                self.skip("?>");
            } else if rest.starts_with("<!") {
                return Err(self.refused("declarations of types (DTD) and of entities are not read"));
            } else {
                self.tag()?;
            }
        }
        Ok(())
    }

    /// Moves behind the next occurrence of the text.
    fn skip(&mut self, end: &str) {
        let rest = self.rest();
        self.at = self.at.saturating_add(rest.find(end).map_or(rest.len(), |at| at.saturating_add(end.len())));
    }

    /// Counts a tag and moves behind it.
    fn tag(&mut self) -> Result<(), Unreadable> {
        let rest = self.rest();
        if rest.starts_with("</") {
            self.depth = self.depth.saturating_sub(1);
            self.skip(">");
            return Ok(());
        }
        self.elements = self.elements.saturating_add(1);
        let (mut quote, mut attributes, mut end, mut is_empty) = (None, 0_u32, rest.len(), false);
        for (at, byte) in rest.bytes().enumerate() {
            match (quote, byte) {
                (Some(open), _) if open == byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    attributes = attributes.saturating_add(1);
                }
                (None, b'>') => {
                    end = at.saturating_add(1);
                    break;
                }
                (None, _) => is_empty = byte == b'/',
            }
        }
        let tag = rest.get(..end).unwrap_or_default();
        self.namespaces =
            self.namespaces.saturating_add(u32::try_from(tag.matches("xmlns").count()).unwrap_or(u32::MAX));
        if !is_empty {
            self.depth = self.depth.saturating_add(1);
        }
        self.bounds(attributes, tag.len())?;
        self.at = self.at.saturating_add(end);
        Ok(())
    }

    fn bounds(&self, attributes: u32, tag: usize) -> Result<(), Unreadable> {
        if self.elements > MOST_ELEMENTS {
            return Err(self.refused(format!("the document has more than {MOST_ELEMENTS} elements")));
        }
        if self.depth > MOST_DEPTH {
            return Err(self.refused(format!("the elements have more than {MOST_DEPTH} levels")));
        }
        if attributes > MOST_ATTRIBUTES {
            return Err(self.refused(format!("an element has more than {MOST_ATTRIBUTES} attributes")));
        }
        if tag > MOST_TAG {
            return Err(self.refused(format!("a tag has more than {MOST_TAG} bytes")));
        }
        if self.namespaces > MOST_NAMESPACES {
            return Err(self.refused(format!("the document declares more than {MOST_NAMESPACES} namespaces")));
        }
        Ok(())
    }

    fn refused(&self, reason: impl Into<String>) -> Unreadable {
        Unreadable(self.at, reason.into())
    }
}

/// An element with its place.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) node: Node<'a, 'a>,
    pub(super) lines: &'a Lines<'a>,
}

impl<'a> Element<'a> {
    /// The name, if it is one of BPMN.
    pub(super) fn name(self) -> Option<&'a str> {
        let tag = self.node.tag_name();
        (tag.namespace() == Some(MODEL)).then(|| tag.name())
    }

    /// The name as it is shown.
    pub(super) fn shown(self) -> String {
        shown(self.node.tag_name().name())
    }

    /// The namespace.
    pub(super) fn namespace(self) -> &'a str {
        self.node.tag_name().namespace().unwrap_or_default()
    }

    /// An attribute of BPMN.
    pub(super) fn attribute(self, name: &str) -> Option<&'a str> {
        self.node.attributes().find(|at| at.namespace().is_none() && at.name() == name).map(|at| at.value())
    }

    /// An attribute of another format by its local name.
    pub(super) fn foreign(self, name: &str) -> Option<&'a str> {
        self.node.attributes().find(|at| at.namespace().is_some() && at.name() == name).map(|at| at.value())
    }

    pub(super) fn id(self) -> Option<&'a str> {
        self.attribute("id")
    }

    /// The elements directly within it.
    pub(super) fn children(self) -> impl Iterator<Item = Self> {
        self.node.children().filter(Node::is_element).map(move |node| Element { node, lines: self.lines })
    }

    /// The elements of this name of BPMN directly within it.
    pub(super) fn all(self, name: &str) -> impl Iterator<Item = Self> {
        self.children().filter(move |child| child.name() == Some(name))
    }

    pub(super) fn first(self, name: &str) -> Option<Self> {
        self.all(name).next()
    }

    /// The text within it, without white space at its ends.
    pub(super) fn text(self) -> String {
        let texts = self.node.children().filter_map(|child| if child.is_text() { child.text() } else { None });
        texts.collect::<String>().trim().to_owned()
    }

    /// The line, the column and the id.
    pub(super) fn spot(self) -> String {
        let at = self.lines.place(self.node.range().start);
        match self.id() {
            Some(id) => format!("{at} ({})", shown(id)),
            None => format!("{at} <{}>", self.shown()),
        }
    }
}
