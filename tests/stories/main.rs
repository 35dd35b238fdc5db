//! Black-box stories: each starts a server of its own and goes through its doors as people and
//! devices do. One program, so that it links once; one module per noun or door.

#[path = "../harness/mod.rs"]
mod harness;

mod claim;
mod cli;
mod clock;
mod comeback;
mod crowd;
mod deuce;
mod export;
mod feed;
mod forms;
mod gone;
mod group;
mod guest;
mod health;
mod hearing;
mod http;
mod idempotency;
mod invite;
mod limit;
mod location;
mod login;
mod member;
mod metrics;
mod newcomer;
mod notification;
mod origin;
mod pace;
mod patience;
mod picture;
mod presence;
mod proxy;
mod quantity;
mod reaction;
mod require_account;
mod require_api;
mod require_durability;
mod resend;
mod restart;
mod resume;
mod revoked;
mod room;
mod socket;
mod story;
mod torn;
mod transcript;
mod user;
mod violation;
mod web;
