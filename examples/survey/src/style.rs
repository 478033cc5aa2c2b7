//! The style sheet of the report.

/// Everything is inline, so that the report is one file that can be sent and kept. What it has in common with the report of a
/// run lies with that.
pub const STYLE: &str = concat!(
    include_str!("../../../src/observe/report/page.css"),
    r#"
.findings{list-style:none;margin:0;padding:0;columns:2;column-gap:44px}
.findings li{break-inside:avoid;padding:7px 0 7px 22px;position:relative;overflow-wrap:anywhere}
.findings li::before{content:"";position:absolute;left:2px;top:15px;width:9px;height:9px;border-radius:50%;background:var(--faint)}
.findings .good::before{background:var(--good)}.findings .concern::before{background:var(--concern)}
.strip{display:flex;height:16px;border-radius:8px;overflow:hidden;gap:2px;margin-bottom:20px;background:var(--card)}
.strip i{display:block;min-width:2px}
.split{display:grid;grid-template-columns:minmax(0,2.15fr) minmax(0,1fr);gap:16px;align-items:stretch}
.pair{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px;align-items:start}
.chord{display:block;width:100%;height:auto;max-height:820px}
.stack>.card{margin-bottom:16px}.stack>.card:last-child{margin-bottom:0}.chart{padding:14px;display:flex;align-items:center}
.chord text{font-size:15px;fill:var(--ink)}
.part{transition:opacity .15s}
.ribbon{fill:hsl(var(--h) var(--s) var(--l));fill-opacity:var(--rib)}
.ribbon.faint,.folded .ribbon{fill-opacity:.16}
.band{fill:hsl(var(--h) var(--s) var(--l))}
.folded .band,.folded .ribbon{fill:var(--cx)}.folded text{fill:var(--soft)}
.chord:hover .part{opacity:.14}.chord .part:hover{opacity:1}.chord .part:hover .ribbon{fill-opacity:.75}
ol.rank{list-style:none;margin:0;padding:0}
.rank li{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:0 14px;padding:6px 0 7px;position:relative;border-top:1px solid var(--line)}
.rank li:first-child{border-top:0}
.rank b{font-weight:500;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.rank .v{font-variant-numeric:tabular-nums;font-weight:600}
.rank small,.place{grid-column:1/-1;color:var(--faint);font-size:12.5px;line-height:1.4;overflow-wrap:anywhere}
.rank .b{grid-column:1/-1;height:3px;border-radius:2px;background:var(--track);margin-top:5px}
.rank .b i{display:block;height:100%;border-radius:2px;background:var(--accent);opacity:.75}
.chips{display:flex;flex-wrap:wrap;gap:8px}
.chips span{background:var(--track);border-radius:8px;padding:3px 10px;font-size:13.5px}
.chips em{font-style:normal;color:var(--soft);margin-left:6px;font-variant-numeric:tabular-nums}
.rank small{font-family:ui-monospace,"SF Mono","Cascadia Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12px}
@media (max-width:860px){.split,.pair{grid-template-columns:minmax(0,1fr)}.findings{columns:1}}
"#
);
