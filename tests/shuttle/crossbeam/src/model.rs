//! Threads and atomics.

pub use shuttle::sync::atomic;

pub mod thread {
    //! As those of the standard library. A thread within a scope cannot always be had, unless a test says so.

    use shuttle::rand::{Rng, thread_rng};
    pub use shuttle::thread::{JoinHandle, Scope, ThreadId, current, scope, yield_now};
    pub use std::thread::available_parallelism;
    use std::cell::Cell;
    use std::io;

    /// Of so many threads within scopes one cannot be had.
    const FAILING: u32 = 8;

    std::thread_local! {
        static ALWAYS: Cell<bool> = const { Cell::new(false) };
    }

    /// For this test: all threads of a program that is played are one of the system.
    pub fn always_to_be_had(always: bool) {
        ALWAYS.set(always);
    }

    #[derive(Debug, Default)]
    pub struct Builder(Option<String>);

    impl Builder {
        pub fn new() -> Self {
            Self::default()
        }

        pub fn name(self, name: String) -> Self {
            Self(Some(name))
        }

        pub fn spawn<F, T>(self, work: F) -> io::Result<JoinHandle<T>>
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send + 'static,
        {
            let builder = shuttle::thread::Builder::new();
            self.0.into_iter().fold(builder, shuttle::thread::Builder::name).spawn(work)
        }

        pub fn spawn_scoped<'scope, F, T>(self, scope: &'scope Scope<'scope, '_>, work: F) -> io::Result<()>
        where
            F: FnOnce() -> T + Send + 'scope,
            T: Send + 'scope,
        {
            if !ALWAYS.get() && thread_rng().gen_range(0..FAILING) == 0 {
                return Err(io::Error::other("no more threads"));
            }
            scope.spawn(work);
            Ok(())
        }
    }
}
