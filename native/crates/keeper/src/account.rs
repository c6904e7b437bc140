//! What the keeper says of itself and its pod, to each daemon and in the record on disk.

use std::time::Duration;

use wire::keeper::Hello;

use crate::keeper::{Keeper, Timer};
use crate::record;
use crate::stages::Stage;

/// Until the next attempt to write a record that could not be written.
const RECORD_RETRY: Duration = Duration::from_secs(1);

impl Keeper {
    pub fn hello(&self) -> Hello {
        Hello {
            host: Some(self.config.facts.clone()),
            ..self.short_hello()
        }
    }

    fn short_hello(&self) -> Hello {
        Hello {
            protocol_version: wire::KEEPER_VERSION,
            plan_version: wire::PLAN_VERSION,
            instance: self.config.instance.clone(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            containerd_address: self.config.containerd_address.clone(),
            namespace: self.config.namespace.clone(),
            group: self.config.group.clone(),
            class_name: self.config.class_name.clone(),
            pid: self.config.pid,
            host: None,
            containers: self.pod.records(),
            stuck_stages: self.stages.values().filter_map(Stage::if_stuck).collect(),
            grpc: self.config.grpc,
            drops: Some(self.drops()),
        }
    }

    /// Brings the record on disk up to what the keeper knows; tried again later if it can't be written.
    pub fn store_record(&mut self) {
        if !self.dirty || self.record_failed || self.left {
            return;
        }
        if let Err(error) = self.try_store_record() {
            let dir = self.config.pod_dir.display().to_string();
            self.log.error(format_args!(
                "write the record in {dir}: {error}; `delete` would not know the pod's state"
            ));
            self.record_failed = true;
            self.reactor.after(RECORD_RETRY, Timer::RecordRetry);
        }
    }

    /// # Errors
    /// The kernel's; the record stays dirty.
    pub fn try_store_record(&mut self) -> std::io::Result<()> {
        let record = wire::keeper::PodRecord {
            hello: Some(self.short_hello()),
            cares: self.pod.cares(),
            keeper_start_time: self.config.start_time,
            socket_path: self.config.socket_path.display().to_string(),
        };
        record::store(&self.config.pod_dir, &record)?;
        self.dirty = false;
        Ok(())
    }
}
