//! The team: the skills of each agent, and its capacity.
//!
//! At least two agents can perform every step, so that another agent takes over when one fails.

use counterpoint::host::HostError;
use counterpoint::host::thread::ThreadHost;
use counterpoint::workflow::Steps;
use counterpoint::{AgentId, AgentSpec};

use crate::steps::Staffroom;
use crate::steps::analyse::{Fingerprint, Gather, Links, Markers, Measure, Read, Structure};
use crate::steps::extract::{Split, Walk};
use crate::steps::publish::{Deliver, Pack, Proofread, Settle};
use crate::steps::write::{Collect, Compare, Connect, Review, Write};
use crate::unreliable::{Fate, Unreliable};

/// Somebody of the team.
#[derive(Debug)]
pub struct Member {
    pub id: AgentId,
    pub name: &'static str,
    pub role: &'static str,
    /// How many things they do at a time.
    hands: u32,
    steps: Steps,
}

/// The team for so many workers.
pub fn team(room: &Staffroom, workers: u32) -> Vec<Member> {
    let desk = || room.desk.clone();
    let reader = Steps::new().with(Walk(desk())).with(Read(desk()));
    let counts = Steps::new().with(Measure(desk())).with(Structure(desk()));
    let finds = Steps::new().with(Links(desk())).with(Markers(desk())).with(Fingerprint(desk()));
    let editor = Steps::new()
        .with(Split(desk()))
        .with(Gather(desk()))
        .with(Collect(desk()))
        .with(Connect(desk()))
        .with(Compare(desk()))
        .with(Write(desk()));
    let reviewer = Steps::new().with(Review(desk())).with(Proofread(desk()));
    let publisher = Steps::new().with(Pack(desk(), room.records.clone())).with_undo(Deliver(desk())).with(Settle);
    let deputy = editor.clone().and(reviewer.clone()).and(publisher.clone());

    let hire = |(number, (name, role, hands, steps))| Member { id: AgentId::new(number), name, role, hands, steps };
    let team = [
        ("Ada", "reader", workers, reader.clone()),
        ("Ben", "reader", 1, reader),
        ("Chloe", "analyst", workers, counts.clone()),
        ("Dmitri", "analyst", workers, finds.clone()),
        ("Emeka", "analyst", 1, counts.and(finds)),
        ("Farah", "editor", 1, editor),
        ("Gustav", "reviewer", 1, reviewer),
        ("Hana", "publisher", 1, publisher),
        ("Ines", "deputy", 1, deputy),
    ];
    (1..).zip(team).map(hire).collect()
}

/// Brings the team to the host. They are as unreliable as fate says.
pub fn assemble(host: &ThreadHost, team: &[Member], fate: Fate) -> Result<(), HostError> {
    for member in team {
        let spec = AgentSpec::new(member.id).with_name(member.name).with_capacity(member.hands);
        let spec = member.steps.kinds().fold(spec, |spec, kind| spec.with_skill(kind.clone(), 1));
        host.add_custom_agent(spec, Unreliable { steps: member.steps.clone(), fate })?;
    }
    Ok(())
}
