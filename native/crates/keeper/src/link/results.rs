//! The results of steps: kept or not, and said to the daemon that asked.

use rustix::io::Errno;
use wire::keeper::{FromKeeper, StepResult, from_keeper, step_result};

use super::Outgoing;
use crate::deframe::plain_frame;
use crate::keeper::Keeper;
use crate::problem::Outcome;
use crate::requests::{Begin, Ticket};

impl Keeper {
    /// Decides what a step that was asked for needs; true: it is to be carried out.
    pub fn begin_step(&mut self, ticket: Ticket) -> bool {
        let frame = match self.requests.begin(ticket, self.link.number) {
            Begin::CarryOut => return true,
            Begin::Wait => return false,
            Begin::Repeat(frame) => frame,
            Begin::Refuse(why) => {
                let failure = crate::problem::explained("step", ticket.seq, Errno::INVAL, why, "");
                result_frame(ticket, Err(failure))
            }
        };
        self.link.queue.push_back(Outgoing::Frame(frame));
        self.flush_link();
        false
    }

    /// A step's end. `keep`: the result is repeated to the next daemon instead of being got again.
    pub fn finish_with(&mut self, ticket: Ticket, outcome: Outcome, keep: bool) {
        let frame = result_frame(ticket, outcome);
        if self.requests.finish(ticket, &frame, keep, self.link.number) && self.link.is_up() {
            self.link.queue.push_back(Outgoing::Frame(frame));
            self.flush_link();
        }
        self.timeline
            .note("keeper", format_args!("step {} done", ticket.step));
    }

    pub fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        self.finish_with(ticket, outcome, true);
    }
}

fn result_frame(ticket: Ticket, outcome: Outcome) -> Vec<u8> {
    let result = outcome.unwrap_or_else(step_result::Result::Failure);
    let result = StepResult {
        seq: ticket.seq,
        step: ticket.step,
        result: Some(result),
    };
    plain_frame(&FromKeeper {
        message: Some(from_keeper::Message::StepResult(result)),
    })
}
