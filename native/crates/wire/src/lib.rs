//! The contract between Brig's processes, generated from `native/proto`, and the versions both sides compare.
//! Holds no logic beyond framing.

/// Launch plans (`brig.plan.v1`).
pub mod plan {
    #![allow(clippy::all, clippy::unwrap_used, clippy::expect_used)]
    include!(concat!(env!("OUT_DIR"), "/brig.plan.v1.rs"));
}

/// Keeper and daemon, keeper and stage (`brig.keeper.v1`).
pub mod keeper {
    #![allow(clippy::all, clippy::unwrap_used, clippy::expect_used)]
    include!(concat!(env!("OUT_DIR"), "/brig.keeper.v1.rs"));
}

pub use prost::Message;

/// Version of the launch plan: major * 1000 + minor.
pub const PLAN_VERSION: u32 = 1000;

/// Version of the keeper's protocol: major * 1000 + minor.
pub const KEEPER_VERSION: u32 = 1002;

/// Longest frame on any of Brig's own sockets, in bytes.
pub const MAX_FRAME: usize = 16 << 20;
