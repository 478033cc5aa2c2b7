use counterpoint::journal::Projection as _;
use counterpoint::observe::*;
use counterpoint::*;
fn read(folder: &str) -> Vec<Entry> {
    let stream = counterpoint::journal::sealed::Stream::new("http-host");
    counterpoint_journal_files::FileJournal::read(folder, &stream).unwrap().0.entries
}
fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let which = std::env::args().nth(2).unwrap();
    let entries = read(&folder);
    if which == "engine" {
        let e = Engine::restore(Config::default(), None, &entries).unwrap();
        drop(entries);
        std::fs::write("/tmp/massif.mark", "x").unwrap();
        let mut v = Vec::<u8>::with_capacity(300_000_000);
        v.push(1);
        std::hint::black_box(&v);
        drop(v);
        std::hint::black_box(&e);
        std::process::exit(0);
    } else {
        let mut p = Progress::default();
        for e in &entries {
            p.apply(e)
        }
        drop(entries);
        let mut v = Vec::<u8>::with_capacity(300_000_000);
        v.push(1);
        std::hint::black_box(&v);
        drop(v);
        std::hint::black_box(&p);
        std::process::exit(0);
    }
}
