//! A build without guards, and a journal that a build with guards has written.

use crate::kit::{Host, agent, host, task};
use counterpoint::message::{AgentEvent, ControlEvent};
use counterpoint::scheduler::TaskStatus;
use counterpoint::task::Guard;
use counterpoint::{AgentId, Config, Entry, Event, Outbox, Scheduler, Seq, Tier, Time};

/// The journal of a scheduler with two agents whose guards have decided: no attempts for the first one, one for the second;
/// ejections are suspended, the low tier is refused, and the service is degraded.
fn guarded() -> Vec<Entry> {
    let mut host = host(Config::default());
    let [first, second] = [1, 2].map(|id| host.join(agent(id).with_capacity(4)));
    let throttled = |guard, slots, until| AgentEvent::Throttled { guard, slots: Some(slots), until, reason: None };
    let events: [Event; 6] = [
        Event::Agent { agent: first, event: throttled(Guard::Breaker, 0, Some(Time::from_secs(60))) },
        Event::Agent { agent: second, event: throttled(Guard::Concurrency, 1, None) },
        Event::Agent { agent: second, event: throttled(Guard::Rate, 0, Some(Time::from_secs(5))) },
        Event::Control(ControlEvent::Panicked { fit: 0, of: 2 }),
        Event::Control(ControlEvent::Shedding { from: Some(Tier::Low) }),
        Event::Control(ControlEvent::Degraded { mode: Some("no second opinion".into()), pressure: 7 }),
    ];
    let next = (Seq::ZERO.get() + host.journal.len() as u64 + 1)..;
    let events = next.zip(events).map(|(seq, event)| Entry { seq: Seq::new(seq), at: host.now, event });
    host.journal.iter().cloned().chain(events).collect()
}

fn resumed(journal: &[Entry]) -> (Host, Vec<Entry>) {
    let mut scheduler = Scheduler::restore(Config::default(), None, journal).unwrap();
    assert!(scheduler.standing().panic && scheduler.standing().refuses(Tier::Low));
    assert!(scheduler.standing().mode.is_some());
    let mut outbox = Outbox::default();
    scheduler.resume(Time::from_secs(1), &mut outbox);
    scheduler.check().unwrap();
    let entries = outbox.entries().to_vec();
    (Host::over(scheduler), entries)
}

#[test]
fn decisions_of_guards_are_lifted_where_there_are_none() {
    let (mut host, lifted) = resumed(&guarded());
    assert!(host.scheduler.standing().is_normal(), "{:?}", host.scheduler.standing());
    let opened = |agent: u64| -> Vec<Guard> {
        let guard = |entry: &Entry| match &entry.event {
            Event::Agent { agent: by, event: AgentEvent::Throttled { guard, slots: None, until: None, .. } }
                if by.agent() == AgentId::new(agent) =>
            {
                Some(*guard)
            }
            _ => None,
        };
        lifted.iter().filter_map(guard).collect()
    };
    assert_eq!(opened(1), [Guard::Breaker]);
    assert_eq!(opened(2), [Guard::Concurrency, Guard::Rate]);
    host.now = Time::from_secs(1);
    for id in 1..=8 {
        host.submit(task(id).with_tier(Tier::Low));
        assert_eq!(host.status(id), TaskStatus::Running);
    }
}

#[test]
fn lifted_decisions_are_in_the_journal() {
    let mut journal = guarded();
    let (host, lifted) = resumed(&journal);
    assert_eq!(lifted.len(), 6);
    journal.extend(lifted);
    let again = Scheduler::restore(Config::default(), None, &journal).unwrap();
    assert_eq!(
        serde_json::to_string(&again.snapshot()).unwrap(),
        serde_json::to_string(&host.scheduler.snapshot()).unwrap()
    );
}
