//! What is wrong with a picture, for the tests of all programs that draw one.

use crate::draw::width;
use std::collections::BTreeSet;

/// What a picture lacks: a title, as many titled axes as it has to have, a legend for more than one series, texts that
/// neither overlap nor leave the picture, and positions that are numbers. The picture is one that this workspace draws:
/// other SVG is not understood.
#[must_use]
pub fn faults(svg: &str, axes: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |wrong: bool, text: &str| {
        if wrong {
            faults.push(text.to_owned());
        }
    };
    fault(!svg.starts_with("<svg ") || !svg.trim_end().ends_with("</svg>"), "it is not an SVG image");
    fault(svg.matches("<svg ").count() != svg.matches("</svg>").count(), "an element is not closed");
    fault(["NaN", "inf\"", "=\"-"].iter().any(|word| svg.contains(word)), "a position is not a number of the picture");
    fault(!svg.contains("<title>") || svg.contains("<title></title>"), "it has no title");
    fault(svg.matches(" axis\"").count() < axes, "an axis has no title");
    fault(!svg.contains("prefers-color-scheme:dark"), "it has no dark theme");
    for part in svg.split("<svg ").skip(1) {
        let (header, body) = part.split_once("<g transform=\"translate(0,").unwrap_or((part, ""));
        let (down, body) = body.split_once(')').unwrap_or(("0", ""));
        let series = series(if body.is_empty() { header } else { body });
        let legend = part.matches("<g class=\"legend\">").count();
        if series.len() > 1 && legend < series.len() {
            faults.push(format!("{} series and {legend} entries in the legend: {series:?}", series.len()));
        }
        let wide: f64 = attribute(part, "width").and_then(|wide| wide.parse().ok()).unwrap_or(0.0);
        let texts = [texts(header, 0.0), texts(body, down.parse().unwrap_or(0.0))].concat();
        for (place, one) in texts.iter().enumerate() {
            if one.left < -1.0 || one.right > wide + 1.0 {
                faults.push(format!("{:?} leaves the picture", one.text));
            }
            let over = |other: &&Text| {
                let across = one.right.min(other.right) - one.left.max(other.left);
                across > 1.0 && one.bottom.min(other.bottom) - one.top.max(other.top) > 1.0
            };
            let others = texts.iter().skip(place + 1).filter(over);
            faults.extend(others.map(|other| format!("{:?} overlaps {:?}", one.text, other.text)));
        }
    }
    faults
}

/// The colours and dashes in which something is drawn.
fn series(part: &str) -> BTreeSet<(String, bool)> {
    let classes = part.split("class=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let drawn = classes.filter_map(|class| {
        let mut words = class.split(' ');
        let number = words.find_map(|word| word.strip_prefix(['l', 'b']).filter(|rest| rest.parse::<u8>().is_ok()))?;
        Some((number.to_owned(), class.contains("dash")))
    });
    drawn.collect()
}

/// A text with its estimated box.
#[derive(Clone)]
struct Text {
    text: String,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

fn texts(part: &str, down: f64) -> Vec<Text> {
    part.split("<text ").skip(1).filter_map(|rest| text(rest, down)).collect()
}

fn text(rest: &str, down: f64) -> Option<Text> {
    let (head, content) = rest.split_once('>')?;
    let text = content.split("</text>").next()?.to_owned();
    let class = attribute(head, "class").unwrap_or_default();
    let is = |name: &str| class.split(' ').any(|word| word == name);
    let size = if is("h") {
        17.0
    } else if is("s") {
        10.0
    } else {
        11.0
    };
    let x: f64 = attribute(head, "x")?.parse().ok()?;
    let y: f64 = attribute(head, "y")?.parse::<f64>().ok()? + down;
    // An entity is a letter.
    let letters: String =
        text.split('&')
            .enumerate()
            .map(|(at, part)| {
                if at == 0 {
                    part.to_owned()
                } else {
                    format!("e{}", part.split_once(';').map_or("", |(_, rest)| rest))
                }
            })
            .collect();
    let wide = f64::from(u32::try_from(width(&letters)).ok()?) / 110.0 * size;
    let anchor = attribute(head, "text-anchor").unwrap_or_default();
    let left = if anchor == "middle" || is("m") {
        x - wide / 2.0
    } else if anchor == "end" || is("e") {
        x - wide
    } else {
        x
    };
    Some(Text { text, left, right: left + wide, top: y - size * 0.75, bottom: y + size * 0.15 })
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let start = element
        .find(&format!(" {name}=\""))
        .map(|at| at + 1)
        .or_else(|| element.starts_with(&format!("{name}=\"")).then_some(0))?;
    element.get(start + name.len() + 2..)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, Ink, Sheet};

    #[test]
    fn a_sheet_has_no_faults_and_a_broken_one_has() {
        let mut sheet = Sheet::new("Title", 400.0, 300.0);
        let axis = |title: &str| Axis::measures(title, 0.0, 1.0, 5).unwrap();
        let plot = sheet.plot(sheet.room(), axis("time, s"), axis("share"));
        sheet.line(&plot, Ink::solid(0), &[(0.0, 0.0), (1.0, 1.0)], "one");
        sheet.line(&plot, Ink::dashed(1), &[(0.0, 0.0), (1.0, 0.5)], "another");
        let svg = sheet.finish();
        assert_eq!(faults(&svg, 2), [""; 0]);
        assert_eq!(faults(&svg.replace("<title>", "<desc>"), 2), ["it has no title"]);
        assert_eq!(faults(&svg.replace(" axis\"", "\""), 2), ["an axis has no title"]);
        assert_eq!(faults(&svg.replace("class=\"legend\"", ""), 2).len(), 1);
        assert_eq!(
            faults(&svg.replace("class=\"ink\" x=\"48\"", "class=\"ink\" x=\"112\""), 2).len(),
            1,
            "it overlaps the next"
        );
        assert!(faults(&svg.replace("viewBox", "x=\"NaN\" viewBox"), 2).len() == 1);
        assert!(faults("<p>", 0).len() >= 3);
    }
}
