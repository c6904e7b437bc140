//! What the keeper had to drop: counted where it happens, told to the daemon, so that `brig ps` can show it.

use std::time::Duration;

use wire::keeper::{Drops, from_keeper};

use crate::keeper::{Keeper, Timer};

/// Between two messages about it.
const PAUSE: Duration = Duration::from_secs(1);

/// What has been told, and whether more will be.
#[derive(Default)]
pub struct Told {
    last: Drops,
    waiting: bool,
}

impl Keeper {
    pub fn drops(&self) -> Drops {
        Drops {
            events: self.publisher.lost,
            log_lines: self.log.lost(),
            outputs: self.lost_outputs,
        }
    }

    /// After each round: has the daemon told of what is new, a little later.
    pub fn look_for_drops(&mut self) {
        if !self.drops_told.waiting && self.drops() != self.drops_told.last {
            self.drops_told.waiting = true;
            self.reactor.after(PAUSE, Timer::Drops);
        }
    }

    pub fn tell_drops(&mut self) {
        let drops = self.drops();
        self.drops_told = Told {
            last: drops,
            waiting: false,
        };
        self.dirty = true;
        // One that is not there learns it by Hello.
        if self.link.counts_drops() {
            self.send_frame(from_keeper::Message::Drops(drops));
        }
    }
}
