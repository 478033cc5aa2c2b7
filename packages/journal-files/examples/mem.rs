use counterpoint::journal::Projection as _;
use counterpoint::observe::*;
use counterpoint::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;
struct A;
static LIVE: AtomicUsize = AtomicUsize::new(0);
unsafe impl GlobalAlloc for A {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        LIVE.fetch_add(l.size(), Relaxed);
        unsafe { System.alloc(l) }
    }
    unsafe fn dealloc(&self, p: *mut u8, l: Layout) {
        LIVE.fetch_sub(l.size(), Relaxed);
        unsafe { System.dealloc(p, l) }
    }
}
#[global_allocator]
static G: A = A;
fn measure<T>(name: &str, f: impl FnOnce() -> T) -> T {
    let before = LIVE.load(Relaxed);
    let t = Instant::now();
    let r = f();
    println!(
        "{name}: {:.1} MB, {:.1} ms",
        (LIVE.load(Relaxed) as f64 - before as f64) / 1e6,
        t.elapsed().as_secs_f64() * 1e3
    );
    r
}
fn read(folder: &str) -> Vec<Entry> {
    let stream = counterpoint::journal::sealed::Stream::new("http-host");
    counterpoint_journal_files::FileJournal::read(folder, &stream).unwrap().0.entries
}
fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let folder = &folder;
    let e = measure("engine alone", || {
        let entries = read(folder);
        Engine::restore(Config::default(), None, &entries).unwrap()
    });
    let b = e.snapshot().to_bytes().unwrap();
    let e2 = measure("from bytes", || {
        Engine::restore(Config::default(), Some(&counterpoint::engine::EngineSnapshot::from_bytes(&b).unwrap()), &[])
            .unwrap()
    });
    drop((e, e2));
    macro_rules! p {
        ($t:ty) => {
            measure(stringify!($t), || {
                let entries = read(folder);
                let mut p = <$t>::default();
                for e in &entries {
                    p.apply(e)
                }
                p
            })
        };
    }
    let a = (p!(Progress), p!(Names), p!(Timeline), p!(Metrics), p!(Alerts), p!(Lineage), p!(Metrics));
    drop(a);
}
