//! When a keeper ends, and what it does before.

use std::time::{Duration, Instant};

use crate::keeper::{Keeper, Timer, identity};
use crate::record;

/// How long the last events and answers may take before the keeper ends.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

impl Keeper {
    /// After each round: writes the record if needed, and looks whether there is anything left to keep.
    pub fn look_around(&mut self) {
        self.look_for_drops();
        self.store_record();
        if self.leaving {
            self.left |= self.publisher.is_empty()
                && !self.has_unread_answers()
                && self.late_readers.is_empty();
            if self.left {
                self.last_act();
            }
            return;
        }
        if !self.is_idle() {
            self.quiet_since = None;
        } else if self.quiet_since.is_none() {
            self.quiet_since = Some(Instant::now());
            self.reactor.after(self.tuning.idle, Timer::Idle);
        }
    }

    fn is_idle(&self) -> bool {
        self.clients.is_empty() && self.late_readers.is_empty() && !self.has_work()
    }

    pub fn has_work(&self) -> bool {
        !(self.pod.containers.is_empty()
            && self.stages.is_empty()
            && self.requests.is_quiet()
            && self.loggers.is_empty()
            && self.deletions.is_empty()
            && self.publisher.is_empty())
    }

    pub fn idle_over(&mut self) {
        if self
            .quiet_since
            .is_some_and(|time| time.elapsed() >= self.tuning.idle)
        {
            self.log.info("nothing to keep: the keeper ends");
            self.leave();
        }
    }

    /// Ends the keeper: no new connections, the last answers and events go out, then it is over.
    pub fn leave(&mut self) {
        if self.leaving {
            return;
        }
        self.timeline.note("keeper", format_args!("leaves"));
        self.leaving = true;
        self.listener = None;
        if self.config.socket_identity.is_some()
            && identity(&self.config.socket_path) == self.config.socket_identity
        {
            let _ = std::fs::remove_file(&self.config.socket_path);
        }
        self.lose_link("the keeper ends");
        self.remove_door();
        self.reactor.after(LEAVE_LIMIT, Timer::Leave);
    }

    fn last_act(&mut self) {
        if !self.publisher.is_empty() {
            let count = self.publisher.len();
            self.log.error(format_args!(
                "{count} events could not be published in {LEAVE_LIMIT:?} and are lost"
            ));
        }
        if let Err(error) = record::remove(&self.config.pod_dir) {
            let dir = self.config.pod_dir.display();
            self.log.warning(format_args!("remove {dir}: {error}"));
        }
        self.timeline.note("keeper", format_args!("ends"));
    }
}
