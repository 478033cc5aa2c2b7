//! Axes: their ranges, their ticks at round numbers, and how they are drawn.
//!
//! Ticks are multiples of 1, 2 or 5 times a power of ten, for times also of the steps of a clock. A tick is an integer and
//! a power of ten, so that its label is exact and a picture is the same on every machine.

use super::text::{Span, xml};
use core::fmt::Write as _;

/// What an axis shows, which decides the ticks and their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Real numbers. The range is extended to ticks.
    Measure,
    /// Whole numbers: ticks at integers only. The range is extended to ticks.
    Count,
    /// Shares of a whole, labelled in percent. The range is extended to ticks.
    Share,
    /// Positive numbers on a logarithmic scale: ticks at powers of ten, and closer ones in a narrow range. The range is not
    /// extended.
    Decades,
    /// Seconds, from zero or later, with the steps of a clock. The range is not extended.
    Seconds,
}

/// An axis with its title, which names the quantity and its unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    title: String,
    quantity: Quantity,
    low: f64,
    high: f64,
    ticks: Vec<Tick>,
}

/// A value with a label.
#[derive(Debug, Clone, PartialEq)]
struct Tick {
    at: f64,
    label: String,
}

/// The area of a plot, in pixels: the axes are drawn at its left and at its lower edge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

/// Values beyond it are clamped to it, so that the width of a range is a number.
const HUGE: f64 = 1e300;
/// Values nearer to zero count as zero, so that no step is zero.
const TINY: f64 = 1e-290;
/// A range that is narrower than this share of its values is taken as a single value.
const NARROW: f64 = 1e-9;

impl Axis {
    /// The axis for values between `low` and `high` in either order, with `most` ticks or fewer; at least three ticks are
    /// allowed, since a range around zero needs them. A range of one value is widened.
    ///
    /// `None` if a bound is not a finite number, or a logarithmic axis has no positive bound.
    pub(crate) fn new(title: &str, quantity: Quantity, low: f64, high: f64, most: usize) -> Option<Self> {
        if !low.is_finite() || !high.is_finite() {
            return None;
        }
        let bounded = |value: f64| if value.abs() < TINY { 0.0 } else { value.clamp(-HUGE, HUGE) };
        let (low, high) = (bounded(low.min(high)), bounded(high.max(low)));
        let most = i64::try_from(most).unwrap_or(i64::MAX).clamp(3, 100);
        let (low, high, ticks) = match quantity {
            Quantity::Measure | Quantity::Count | Quantity::Share => even(quantity, widened(quantity, low, high), most),
            Quantity::Decades => decades(low, high, most)?,
            Quantity::Seconds => seconds(low, high, most),
        };
        Some(Self { title: title.to_owned(), quantity, low, high, ticks })
    }

    /// The position of a value, from 0 at the lower end of the axis to 1 at its upper end. Values beyond an end are
    /// clamped to it; NaN is at the lower end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let value = if value.is_nan() { self.low } else { value.clamp(self.low, self.high) };
        let share = if self.quantity == Quantity::Decades {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // Two huge times may be the same number.
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// The horizontal position of a value in a frame.
    pub(crate) fn x(&self, value: f64, frame: Frame) -> f64 {
        frame.left + self.place(value) * (frame.right - frame.left)
    }

    /// The vertical position of a value in a frame: larger values are further up.
    pub(crate) fn y(&self, value: f64, frame: Frame) -> f64 {
        frame.bottom - self.place(value) * (frame.bottom - frame.top)
    }

    /// Draws it below the frame: a grid line and a label for each tick, and the title.
    pub(crate) fn draw_below(&self, out: &mut String, frame: Frame) {
        let Frame { left, right, top, bottom } = frame;
        for tick in &self.ticks {
            let x = self.x(tick.at, frame);
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/><text class=\"dim m\" x=\"{x:.1}\" \
                 y=\"{:.1}\">{}</text>",
                bottom + 15.0,
                xml(&tick.label, 40)
            );
        }
        let (middle, y) = (f64::midpoint(left, right), bottom + 33.0);
        let title = xml(&self.title, 120);
        let _ = writeln!(out, "<text class=\"ink m axis\" x=\"{middle:.1}\" y=\"{y:.1}\">{title}</text>");
    }

    /// Draws it at the left of the frame, with the title above it.
    pub(crate) fn draw_left(&self, out: &mut String, frame: Frame) {
        let Frame { left, right, top, .. } = frame;
        for tick in &self.ticks {
            let y = self.y(tick.at, frame);
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/><text class=\"dim e\" x=\"{:.1}\" \
                 y=\"{:.1}\">{}</text>",
                left - 7.0,
                y + 3.8,
                xml(&tick.label, 40)
            );
        }
        let (x, y) = (left - 40.0, top - 13.0);
        let _ = writeln!(out, "<text class=\"ink axis\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", xml(&self.title, 120));
    }
}

/// The offsets of ticks from the start of a time span, in nanoseconds, and their labels; at most `most` of them.
pub(crate) fn time_ticks(span: u64, most: u64) -> Vec<(u64, String)> {
    let step = clock_step(span, most.max(2));
    let mut out = Vec::new();
    let mut at = 0_u64;
    while at <= span {
        out.push((at, if at == 0 { "0".to_owned() } else { Span(at).to_string() }));
        match at.checked_add(step) {
            Some(next) => at = next,
            None => break,
        }
    }
    out
}

/// A range of one value, or of values that differ by less than their precision, made wide enough for ticks.
fn widened(quantity: Quantity, low: f64, high: f64) -> (f64, f64) {
    let (low, high) = if quantity == Quantity::Count { (low.floor(), high.ceil()) } else { (low, high) };
    let size = low.abs().max(high.abs());
    if high - low > size * NARROW {
        return (low, high);
    }
    match quantity {
        Quantity::Count => (low - (size * NARROW).max(1.0), high + (size * NARROW).max(1.0)),
        Quantity::Measure | Quantity::Share | Quantity::Decades | Quantity::Seconds => {
            let by = if size > 0.0 { size / 2.0 } else { 0.5 };
            (low - by, high + by)
        }
    }
}

/// A step between ticks: 1, 2 or 5 times a power of ten.
#[derive(Debug, Clone, Copy)]
struct Step {
    digit: i64,
    exponent: i32,
}

impl Step {
    const fn next(self) -> Self {
        match self.digit {
            1 => Self { digit: 2, ..self },
            2 => Self { digit: 5, ..self },
            _ => Self { digit: 1, exponent: self.exponent.saturating_add(1) },
        }
    }

    fn size(self) -> f64 {
        value(self.digit, self.exponent)
    }

    /// The multiples of the step that enclose a range.
    fn multiples(self, low: f64, high: f64) -> (i64, i64) {
        (whole(low / self.size(), f64::floor), whole(high / self.size(), f64::ceil))
    }
}

/// Evenly spaced ticks, and the range that they enclose.
fn even(quantity: Quantity, (low, high): (f64, f64), most: i64) -> (f64, f64, Vec<Tick>) {
    // A step that is certainly too small; the loop ends since larger steps leave three multiples at most.
    let mut exponent = exponent(high - low).saturating_sub(3);
    if quantity == Quantity::Count {
        exponent = exponent.max(0);
    }
    let mut step = Step { digit: 1, exponent };
    let (mut first, mut last) = step.multiples(low, high);
    while last.saturating_sub(first) >= most {
        step = step.next();
        (first, last) = step.multiples(low, high);
    }
    let label = |number: i64| match quantity {
        Quantity::Share => format!("{} %", label(number, step.exponent.saturating_add(2))),
        Quantity::Measure | Quantity::Count | Quantity::Decades | Quantity::Seconds => label(number, step.exponent),
    };
    let ticks: Vec<Tick> = (first..=last)
        .map(|multiple| multiple.saturating_mul(step.digit))
        .map(|number| Tick { at: value(number, step.exponent), label: label(number) })
        .collect();
    let at = |tick: Option<&Tick>, otherwise: f64| tick.map_or(otherwise, |tick| tick.at);
    (at(ticks.first(), low), at(ticks.last(), high), ticks)
}

/// Powers of ten in a range, every second or third one if there are many; with 2 and 5 times them if fewer than three are
/// inside, and evenly spaced ticks in a range that has not even those.
fn decades(low: f64, high: f64, most: i64) -> Option<(f64, f64, Vec<Tick>)> {
    if high <= 0.0 {
        return None;
    }
    let low = if low > 0.0 { low } else { high / 1e3 };
    let (low, high) = if high > low * (1.0 + NARROW) { (low, high) } else { (low / 2.0, high * 2.0) };
    let (first, last) = (exponent(low), exponent(high));
    let every = i64::from(last.saturating_sub(first)).saturating_div(most).saturating_add(1);
    let ticks = |digits: &[i64]| {
        let exponents = (first..=last).filter(|exponent| i64::from(*exponent).rem_euclid(every) == 0);
        let all = exponents.flat_map(|exponent| digits.iter().map(move |digit| (*digit, exponent)));
        all.map(|(digit, exponent)| Tick { at: value(digit, exponent), label: label(digit, exponent) })
            .filter(|tick| (low * (1.0 - NARROW)..=high * (1.0 + NARROW)).contains(&tick.at))
            .collect::<Vec<_>>()
    };
    let most_ticks = usize::try_from(most).unwrap_or(usize::MAX);
    let fits = |ticks: &Vec<Tick>| (3..=most_ticks).contains(&ticks.len());
    let ticks = [ticks(&[1]), ticks(&[1, 2, 5])].into_iter().find(fits).unwrap_or_else(|| {
        let (_, _, ticks) = even(Quantity::Measure, (low, high), most);
        ticks.into_iter().filter(|tick| tick.at > 0.0 && (low..=high).contains(&tick.at)).collect()
    });
    Some((low, high, ticks))
}

fn seconds(low: f64, high: f64, most: i64) -> (f64, f64, Vec<Tick>) {
    const NANOS: f64 = 1e9;
    let (low, high) = (low.max(0.0), high.max(0.0));
    let high = if high > low { high } else { low + 1.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the conversion saturates")]
    let span = (high * NANOS) as u64;
    #[expect(clippy::cast_precision_loss, reason = "a position in a picture")]
    let tick = |(at, label): (u64, String)| Tick { at: at as f64 / NANOS, label };
    let share = (high - low) / high;
    // Ticks begin at zero: with those before the range there may be more.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "at most a million ticks")]
    let most = ((most as f64 / share.max(1e-4)) as i64).unsigned_abs();
    let ticks = time_ticks(span, most).into_iter().map(tick).filter(|tick| tick.at >= low);
    (low, high, ticks.collect())
}

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Steps from a second up to a day, where time is not decimal.
const CLOCK: [u64; 18] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

fn clock_step(span: u64, most: u64) -> u64 {
    let enough = |step: u64| span / step < most;
    let decimal = |from: u64, until: u64| {
        let powers =
            core::iter::successors(Some(from), |power| power.checked_mul(10)).take_while(move |power| *power < until);
        powers.flat_map(|power| [1, 2, 5].into_iter().filter_map(move |digit| power.checked_mul(digit)))
    };
    decimal(1, SECOND).chain(CLOCK).chain(decimal(DAY, u64::MAX)).find(|step| enough(*step)).unwrap_or(u64::MAX)
}

/// The exponent of a number in scientific notation; 0 for zero.
fn exponent(number: f64) -> i32 {
    // Exact, unlike a logarithm.
    format!("{number:e}").split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

/// `number` times ten to the power of `exponent`, rounded once.
fn value(number: i64, exponent: i32) -> f64 {
    format!("{number}e{exponent}").parse().unwrap_or(0.0)
}

/// A quotient as an integer, rounded in a direction unless it is an integer but for errors of its division.
fn whole(quotient: f64, rounded: impl Fn(f64) -> f64) -> i64 {
    let near = quotient.round();
    let exact = (quotient - near).abs() <= 1e-9 + quotient.abs() * 1e-14;
    #[expect(clippy::cast_possible_truncation, reason = "the conversion saturates")]
    let whole = if exact { near } else { rounded(quotient) } as i64;
    whole
}

/// `number` times ten to the power of `exponent` in decimal notation, or in powers of ten if that is long.
fn label(number: i64, exponent: i32) -> String {
    let sign = if number < 0 { "−" } else { "" };
    let digits = number.unsigned_abs().to_string();
    let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    match exponent {
        _ if number == 0 => "0".to_owned(),
        0.. if length.saturating_add(exponent) <= 7 => {
            let zeros = usize::try_from(exponent).unwrap_or(0);
            format!("{sign}{}", grouped(&format!("{digits}{}", "0".repeat(zeros))))
        }
        -6..0 if length.saturating_add(exponent) <= 7 => {
            let places = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
            let padded = format!("{digits:0>width$}", width = places.saturating_add(1));
            let (whole, part) = padded.split_at_checked(padded.len().saturating_sub(places)).unwrap_or((&padded, ""));
            format!("{sign}{}.{part}", grouped(whole))
        }
        _ => {
            let short = digits.trim_end_matches('0');
            let (lead, rest) = short.split_at_checked(1).unwrap_or((short, ""));
            let point = if rest.is_empty() { "" } else { "." };
            format!("{sign}{lead}{point}{rest}e{}", exponent.saturating_add(length).saturating_sub(1))
        }
    }
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len().saturating_sub(at)).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(quantity: Quantity, low: f64, high: f64, most: usize) -> Axis {
        Axis::new("title", quantity, low, high, most).unwrap()
    }

    fn labels(quantity: Quantity, low: f64, high: f64, most: usize) -> Vec<String> {
        axis(quantity, low, high, most).ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn every_count_is_a_whole_number() {
        assert_eq!(labels(Quantity::Count, 10.0, 18.0, 10), ["10", "11", "12", "13", "14", "15", "16", "17", "18"]);
        assert_eq!(labels(Quantity::Count, 10.0, 18.0, 6), ["10", "12", "14", "16", "18"]);
        assert_eq!(labels(Quantity::Count, 0.0, 2.0, 20), ["0", "1", "2"]);
        assert_eq!(labels(Quantity::Count, 7.0, 7.0, 10), ["6", "7", "8"]);
        assert_eq!(labels(Quantity::Count, 0.2, 0.3, 10), ["0", "1"]);
        assert_eq!(labels(Quantity::Count, 1_000.0, 30_000.0, 5), ["0", "10,000", "20,000", "30,000"]);
    }

    #[test]
    fn measures_have_round_ticks_around_their_range() {
        assert_eq!(labels(Quantity::Measure, 0.0, 1.2, 8), ["0", "0.2", "0.4", "0.6", "0.8", "1.0", "1.2"]);
        assert_eq!(labels(Quantity::Measure, -37.0, 81.0, 5), ["−50", "0", "50", "100"]);
        assert_eq!(labels(Quantity::Measure, 4.0, 25.0, 6), ["0", "5", "10", "15", "20", "25"]);
        assert_eq!(labels(Quantity::Measure, 0.3, 0.1, 5), ["0.10", "0.15", "0.20", "0.25", "0.30"]);
        assert_eq!(labels(Quantity::Share, 0.0, 1.0, 6), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        assert_eq!(labels(Quantity::Share, 0.98, 0.999, 5), ["98.0 %", "98.5 %", "99.0 %", "99.5 %", "100.0 %"]);
    }

    #[test]
    fn the_range_of_one_value_is_widened() {
        for value in [0.0, 5.0, -5.0, 1e9, 1e-9, 1e300] {
            let axis = axis(Quantity::Measure, value, value, 5);
            assert!(axis.low < value && value < axis.high, "{axis:?}");
            assert!((0.2..0.8).contains(&axis.place(value)), "{axis:?}");
        }
        assert_eq!(labels(Quantity::Measure, 0.0, 0.0, 5), ["−0.5", "0", "0.5"]);
    }

    #[test]
    fn tiny_and_huge_ranges_have_short_labels() {
        assert_eq!(labels(Quantity::Measure, 0.0, 3e-9, 4), ["0", "1e-9", "2e-9", "3e-9"]);
        assert_eq!(labels(Quantity::Measure, 0.0, 3e12, 4), ["0", "1e12", "2e12", "3e12"]);
        assert_eq!(labels(Quantity::Measure, f64::MIN, f64::MAX, 3), ["−1e300", "0", "1e300"]);
        assert_eq!(labels(Quantity::Measure, 0.0, 15e6, 4), ["0", "5,000,000", "1e7", "1.5e7"]);
        let above = labels(Quantity::Measure, 1e6, 1e6 + 1.0, 3);
        assert!(above.len() >= 2 && above.iter().all(|label| label.len() < 16), "{above:?}");
    }

    #[test]
    fn what_is_no_number_is_refused_or_clamped() {
        for (low, high) in [(f64::NAN, 1.0), (0.0, f64::NAN), (f64::NEG_INFINITY, 0.0), (0.0, f64::INFINITY)] {
            for quantity in [Quantity::Measure, Quantity::Count, Quantity::Decades, Quantity::Seconds] {
                assert_eq!(Axis::new("", quantity, low, high, 5), None);
            }
        }
        let axis = axis(Quantity::Measure, 0.0, 10.0, 5);
        let places = [f64::NAN, f64::NEG_INFINITY, -3.0, 5.0, 30.0, f64::INFINITY].map(|value| axis.place(value));
        assert_eq!(places, [0.0, 0.0, 0.0, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn ticks_are_few_and_enclose_every_range() {
        let magnitudes = || (-275..=275).step_by(25).map(|exponent| value(7, exponent));
        for (a, b) in magnitudes().flat_map(|a| magnitudes().flat_map(move |b| [(a, b), (-a, b), (a, -b), (-a, -b)])) {
            for (quantity, most) in [(Quantity::Measure, 3), (Quantity::Count, 7), (Quantity::Share, 12)] {
                let axis = axis(quantity, a, b, most);
                assert!((2..=most).contains(&axis.ticks.len()), "{axis:?}");
                // A value that is next to a tick, compared with the range, counts as at the tick.
                let slack = (axis.high - axis.low) * 1e-8;
                assert!(axis.low - slack <= a.min(b) && a.max(b) <= axis.high + slack, "{a} {b} {axis:?}");
                assert!(axis.ticks.windows(2).all(|two| two[0].at < two[1].at), "{axis:?}");
                if quantity == Quantity::Count {
                    assert!(axis.ticks.iter().all(|tick| tick.at.fract() == 0.0), "{axis:?}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_numbers_give_an_axis_or_none(low: f64, high: f64, value: f64, most in 0_usize..200) {
            let bits = [low, high, value].map(f64::to_bits);
            let few = bits.map(|bits| f64::from_bits(bits & 0x7fff_0000_0000_0001));
            for [low, high, value] in [[low, high, value], few] {
                for quantity in [Quantity::Measure, Quantity::Count, Quantity::Share, Quantity::Decades, Quantity::Seconds] {
                    let Some(axis) = Axis::new("", quantity, low, high, most) else { continue };
                    assert!(low.is_finite() && high.is_finite());
                    assert!((0.0..=1.0).contains(&axis.place(value)), "{axis:?} {value}");
                    let inside = |tick: &Tick| (axis.low..=axis.high).contains(&tick.at);
                    assert!(quantity == Quantity::Decades || axis.ticks.iter().all(inside), "{axis:?}");
                    assert!(quantity == Quantity::Seconds || axis.ticks.len() <= most.max(3), "{axis:?}");
                    assert!(axis.ticks.iter().all(|tick| tick.at.is_finite() && !tick.label.is_empty()), "{axis:?}");
                }
            }
        }
    }

    #[test]
    fn logarithmic_axes_show_powers_of_ten() {
        assert_eq!(labels(Quantity::Decades, 0.01, 100.0, 9), ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!(labels(Quantity::Decades, 0.75, 6.0, 9), ["1", "2", "5"]);
        assert_eq!(labels(Quantity::Decades, 0.75, 1.35, 9), ["0.8", "0.9", "1.0", "1.1", "1.2", "1.3"]);
        assert_eq!(Axis::new("", Quantity::Decades, -2.0, 0.0, 9), None);
        let axis = axis(Quantity::Decades, 1.0, 100.0, 9);
        assert!((axis.place(10.0) - 0.5).abs() < 1e-12);
        assert_eq!([axis.place(0.0), axis.place(-1.0), axis.place(f64::INFINITY)], [0.0, 0.0, 1.0]);
    }

    #[test]
    fn times_have_the_steps_of_a_clock() {
        assert_eq!(
            labels(Quantity::Seconds, 0.0, 16.0 * 3_600.0, 10),
            ["0", "2 h", "4 h", "6 h", "8 h", "10 h", "12 h", "14 h", "16 h"]
        );
        assert_eq!(labels(Quantity::Seconds, 0.0, 250.0, 6), ["0", "1 min", "2 min", "3 min", "4 min"]);
        assert_eq!(labels(Quantity::Seconds, 0.0, 20.0 * 86_400.0, 6), ["0", "5 d", "10 d", "15 d", "20 d"]);
        assert_eq!(
            labels(Quantity::Seconds, 60.0, 120.0, 5),
            ["1 min", "1 min 15 s", "1 min 30 s", "1 min 45 s", "2 min"]
        );
        assert_eq!(labels(Quantity::Seconds, 0.0, 0.0, 5).first().map(String::as_str), Some("0"));
        assert_eq!(labels(Quantity::Seconds, -5.0, 0.0, 3).first().map(String::as_str), Some("0"));
    }

    #[test]
    fn ticks_of_time_are_round() {
        let labels = |span: u64| time_ticks(span, 10).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(
            labels(950 * MILLI),
            ["0", "100 ms", "200 ms", "300 ms", "400 ms", "500 ms", "600 ms", "700 ms", "800 ms", "900 ms"]
        );
        assert_eq!(
            labels(4 * MINUTE),
            ["0", "30 s", "1 min", "1 min 30 s", "2 min", "2 min 30 s", "3 min", "3 min 30 s", "4 min"]
        );
        assert_eq!(labels(0), ["0"]);
        for power in 0..64 {
            assert!((1..=10).contains(&labels(1 << power).len()));
        }
        assert!(labels(u64::MAX).len() > 2);
    }
}
