//! The work of the agents for each kind of task, on real data.

use charts::{Axis, Ink, Sheet};
use counterpoint::{Failure, Payload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What every step is given.
#[derive(Deserialize)]
struct Given {
    about: About,
    #[serde(default)]
    before: Value,
}

/// What all of it is about.
#[derive(Clone, Serialize, Deserialize)]
pub struct About {
    pub csv: PathBuf,
    pub out: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<f64>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub mean: f64,
    pub deviation: f64,
    pub least: f64,
    pub most: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    pub feature: String,
    pub target: String,
    pub intercept: f64,
    pub slope: f64,
    pub r2: f64,
    pub least_r2: f64,
}

/// Does a piece of work.
pub fn perform(kind: &str, input: &Payload) -> Result<Payload, Failure> {
    let given: Given = input.to().map_err(|error| Failure::permanent(error.to_string()))?;
    let about = &given.about;
    let output = match kind {
        "requirements" => requirements(about)?,
        "design" => design(&before(&given.before, "requirements")?),
        "implementation" => json!(fit(&read(&about.csv)?, &before::<Value>(&given.before, "design")?)?),
        "testing" => json!(test(&read(&about.csv)?, &before(&given.before, "implementation")?)?),
        "collection" => json!(read(&about.csv)?),
        "analysis" => analysis(&before(&given.before, "collection")?),
        "outline" => json!(["The data", "The correlation"]),
        "writing" => writing(about, &given.before)?,
        other => return Err(Failure::permanent(format!("no agent performs {other}"))),
    };
    Payload::of(&output).map_err(|error| Failure::permanent(error.to_string()))
}

fn before<T: DeserializeOwned>(given: &Value, step: &str) -> Result<T, Failure> {
    let part = given.get(step).cloned().unwrap_or(Value::Null);
    serde_json::from_value(part).map_err(|error| Failure::permanent(format!("{step}: {error}")))
}

fn failed(error: impl ToString) -> Failure {
    Failure::permanent(error.to_string())
}

pub fn read(path: &Path) -> Result<Table, Failure> {
    let mut file = csv::Reader::from_path(path).map_err(failed)?;
    let columns = file.headers().map_err(failed)?.iter().map(str::to_owned).collect();
    let rows = file.deserialize().collect::<Result<Vec<Vec<f64>>, _>>().map_err(failed)?;
    Ok(Table { columns, rows })
}

/// What the model shall do: foretell the last column from the first, and explain at least half of it.
fn requirements(about: &About) -> Result<Value, Failure> {
    let table = read(&about.csv)?;
    let (Some(feature), Some(target)) = (table.columns.first(), table.columns.last()) else {
        return Err(Failure::permanent("a table needs columns"));
    };
    Ok(json!({"feature": feature, "target": target, "least_r2": 0.5}))
}

fn design(wanted: &Value) -> Value {
    json!({"model": "least squares, one feature", "wanted": wanted})
}

fn column(table: &Table, name: &str) -> Result<Vec<f64>, Failure> {
    let place =
        table.columns.iter().position(|column| column == name).ok_or_else(|| failed(format!("no column {name}")))?;
    Ok(table.rows.iter().filter_map(|row| row.get(place).copied()).collect())
}

fn text(value: &Value, pointer: &str) -> Result<String, Failure> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| failed(format!("no {pointer}")))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The line of least squares.
fn fit(table: &Table, design: &Value) -> Result<Model, Failure> {
    let (feature, target) = (text(design, "/wanted/feature")?, text(design, "/wanted/target")?);
    let (x, y) = (column(table, &feature)?, column(table, &target)?);
    let (slope, intercept) = line(&x, &y).ok_or_else(|| failed("all values are equal"))?;
    let least_r2 = design.pointer("/wanted/least_r2").and_then(Value::as_f64).unwrap_or(0.0);
    let r2 = explained(&x, &y, intercept, slope);
    Ok(Model { feature, target, intercept, slope, r2, least_r2 })
}

fn line(x: &[f64], y: &[f64]) -> Option<(f64, f64)> {
    let (mx, my) = (mean(x), mean(y));
    let (mut xx, mut xy) = (0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        xx += (a - mx) * (a - mx);
        xy += (a - mx) * (b - my);
    }
    (xx > 0.0).then(|| (xy / xx, my - xy / xx * mx))
}

fn explained(x: &[f64], y: &[f64], intercept: f64, slope: f64) -> f64 {
    let my = mean(y);
    let rest: f64 = x.iter().zip(y).map(|(a, b)| (b - intercept - slope * a).powi(2)).sum();
    1.0 - rest / y.iter().map(|b| (b - my).powi(2)).sum::<f64>()
}

/// Looks for what must hold of such a model, without the code that made it: residuals that add up to nothing and do not hang
/// on the feature, and a share explained that is still there for points that the line has not seen.
fn test(table: &Table, model: &Model) -> Result<Value, Failure> {
    let (x, y) = (column(table, &model.feature)?, column(table, &model.target)?);
    let residuals: Vec<f64> = x.iter().zip(&y).map(|(a, b)| b - model.intercept - model.slope * a).collect();
    let sum: f64 = residuals.iter().sum();
    let product: f64 = residuals.iter().zip(&x).map(|(residual, a)| residual * a).sum();
    let unseen = left_out(&x, &y);
    let checks = json!({
        "residuals add up to zero": sum.abs() < 1e-6,
        "residuals are independent of the feature": product.abs() < 1e-4,
        "explains enough": model.r2 >= model.least_r2,
        "explains enough of unseen data": unseen >= model.least_r2,
    });
    let passed = checks.as_object().is_some_and(|all| all.values().all(|one| *one == json!(true)));
    if passed { Ok(json!({"passed": 4, "r2_unseen": unseen})) } else { Err(failed(format!("a test failed: {checks}"))) }
}

/// The share explained if each point is foretold by the line through all others.
fn left_out(x: &[f64], y: &[f64]) -> f64 {
    let my = mean(y);
    let (mut rest, mut all) = (0.0, 0.0);
    for (place, (a, b)) in x.iter().zip(y).enumerate() {
        let others = |values: &[f64]| {
            values.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, v)| *v).collect::<Vec<_>>()
        };
        let (slope, intercept) = line(&others(x), &others(y)).unwrap_or((0.0, my));
        rest += (b - intercept - slope * a).powi(2);
        all += (b - my).powi(2);
    }
    1.0 - rest / all
}

/// Mean, deviation and range of each column, and how the first and the last hang together.
fn analysis(table: &Table) -> Value {
    let columns: Vec<Column> =
        table.columns.iter().filter_map(|name| Some(described(name, &column(table, name).ok()?))).collect();
    let ends = table.columns.first().zip(table.columns.last());
    let values = ends.and_then(|(x, y)| Some((column(table, x).ok()?, column(table, y).ok()?)));
    let correlation = values.and_then(|(x, y)| Some(line(&x, &y)?.0 * deviation(&x) / deviation(&y)));
    json!({"rows": table.rows.len(), "columns": columns, "correlation": correlation, "table": table})
}

fn described(name: &str, values: &[f64]) -> Column {
    Column {
        name: name.to_owned(),
        mean: mean(values),
        deviation: deviation(values),
        least: values.iter().copied().fold(f64::INFINITY, f64::min),
        most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

fn deviation(values: &[f64]) -> f64 {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    (squares / (values.len().max(2) - 1) as f64).sqrt()
}

/// Writes the report and its chart.
fn writing(about: &About, given: &Value) -> Result<Value, Failure> {
    let sections: Vec<String> = before(given, "outline")?;
    let found: Value = before(given, "analysis")?;
    let columns: Vec<Column> = before(&found, "columns")?;
    let table: Table = before(&found, "table")?;
    let mut report = format!("# {}\n", table.columns.join(" and "));
    for (place, section) in sections.iter().enumerate() {
        let _ = write!(report, "\n## {section}\n\n");
        if place == 0 {
            report += "| column | mean | deviation | least | most |\n|---|---|---|---|---|\n";
            for Column { name, mean, deviation, least, most } in &columns {
                let _ = writeln!(report, "| {name} | {mean:.2} | {deviation:.2} | {least} | {most} |");
            }
        } else {
            let correlation = found.get("correlation").and_then(Value::as_f64).unwrap_or(0.0);
            let _ = writeln!(report, "The correlation is {correlation:.3}.\n\n![points](chart.svg)");
        }
    }
    fs::create_dir_all(&about.out).map_err(failed)?;
    fs::write(about.out.join("report.md"), &report).map_err(failed)?;
    fs::write(about.out.join("chart.svg"), chart(&table, &columns)).map_err(failed)?;
    Ok(json!({"report": about.out.join("report.md"), "words": report.split_whitespace().count()}))
}

/// The points of the table, and the line of least squares through them.
fn chart(table: &Table, columns: &[Column]) -> String {
    let ends = columns.first().zip(columns.last());
    let short = |column: &Column| titled(&column.name).split(',').next().unwrap_or_default().to_owned();
    let title = ends.map_or_else(|| "An empty table".to_owned(), |(x, y)| format!("The {} by {}", short(y), short(x)));
    let mut sheet = Sheet::new(&title, 680.0, 420.0);
    let axis = |column: &Column| Axis::measures(&titled(&column.name), column.least.min(0.0), column.most, 9);
    let Some((plot, x, y)) = ends.and_then(|(x, y)| Some((sheet.plot(sheet.room(), axis(x)?, axis(y)?), x, y))) else {
        sheet.empty("The table has no columns of numbers.");
        return sheet.finish();
    };
    let values = column(table, &x.name).ok().zip(column(table, &y.name).ok()).unwrap_or_default();
    if let Some((slope, intercept)) = line(&values.0, &values.1) {
        let (sign, share) =
            (if intercept < 0.0 { '−' } else { '+' }, explained(&values.0, &values.1, intercept, slope));
        let name = format!(
            "least squares: {} = {slope:.2} · {} {sign} {:.1} (R² {share:.2})",
            y.name,
            x.name,
            intercept.abs()
        );
        // The part of the line that is inside of the plot.
        let begin = if slope > 0.0 { x.least.max((y.least.min(0.0) - intercept) / slope) } else { x.least };
        sheet.line(&plot, Ink::solid(1), &[begin, x.most].map(|at| (at, intercept + slope * at)), &name);
    }
    for row in &table.rows {
        if let (Some(a), Some(b)) = (row.first(), row.last()) {
            sheet.dot(&plot, Ink::solid(0), (*a, *b), "a measurement", &format!("{} {a}, {} {b}", x.name, y.name));
        }
    }
    sheet.finish()
}

/// The title of a column with its unit; those of other tables are their names.
fn titled(name: &str) -> String {
    match name {
        "speed" => "speed, miles per hour".to_owned(),
        "dist" => "stopping distance, feet".to_owned(),
        other => other.to_owned(),
    }
}
