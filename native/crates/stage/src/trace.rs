//! Microseconds per step, for the trace in `Executed`.

use std::time::Instant;

use wire::keeper::Timing;

pub struct Trace {
    last: Instant,
    timings: Vec<Timing>,
}

impl Trace {
    pub fn start() -> Trace {
        Trace {
            last: Instant::now(),
            timings: Vec::with_capacity(16),
        }
    }

    /// Everything since the last call was `step`.
    pub fn step(&mut self, step: &str) {
        let now = Instant::now();
        let micros = now
            .duration_since(self.last)
            .as_micros()
            .min(u32::MAX.into()) as u32;
        self.timings.push(Timing {
            step: step.to_owned(),
            micros,
        });
        self.last = now;
    }

    pub fn finish(self) -> Vec<Timing> {
        self.timings
    }
}
