//! Black-box stories: each starts a server of its own and goes through its doors as people and
//! devices do. One program, so that it links once; one module per noun or door.

#[path = "../harness/mod.rs"]
mod harness;

mod cli;
mod deuce;
mod export;
mod feed;
mod group;
mod health;
mod http;
mod idempotency;
mod invite;
mod limit;
mod location;
mod login;
mod member;
mod origin;
mod picture;
mod proxy;
mod reaction;
mod restart;
mod socket;
mod story;
mod user;
mod violation;
mod web;
