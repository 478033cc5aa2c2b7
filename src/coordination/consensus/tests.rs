use super::super::Share;
use super::*;
use core::time::Duration;
use proptest::prelude::*;

fn agent(id: usize) -> AgentId {
    AgentId::new(id as u64)
}

fn option(number: u8) -> Ballot {
    if number == 0 { Ballot::Abstain } else { Ballot::For(Name::from(number.to_string())) }
}

/// A vote of equal agents with these ballots, closed at the end if it is still open; an agent whose ballot is none is absent.
fn held(config: Config, weights: &[u64], ballots: &[(usize, u8)]) -> Consensus {
    let electorate = weights.iter().enumerate().map(|(id, weight)| (agent(id), *weight));
    let mut vote = Consensus::open(Rules::new(config).unwrap(), electorate, Time::ZERO).unwrap();
    for (voter, ballot) in ballots {
        let verdict = vote.cast(agent(*voter), 1, option(*ballot), Time::ZERO);
        assert!(matches!(verdict, Ok(_) | Err(VoteError::NotOpen)), "{verdict:?}");
    }
    let _ = vote.close(Time::ZERO);
    vote
}

fn chosen(vote: &Consensus) -> Option<String> {
    vote.decision().map(|decision| decision.option.to_string())
}

#[test]
fn two_thirds_are_not_67_percent() {
    assert_eq!(chosen(&held(Config::default(), &[1; 3], &[(0, 1), (1, 1), (2, 2)])), None);
    let two_thirds = Config::default().with_approval(Share::new(2, 3).unwrap());
    assert_eq!(chosen(&held(two_thirds, &[1; 3], &[(0, 1), (1, 1), (2, 2)])), Some("1".to_owned()));
    for (n, least) in [(3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (9, 7), (10, 7), (100, 67), (300, 201), (1_500, 1_005)] {
        let ballots = |yes: usize| (0..n).map(|id| (id, if id < yes { 1 } else { 2 })).collect::<Vec<_>>();
        assert_eq!(
            chosen(&held(Config::default(), &vec![1; n], &ballots(least))),
            Some("1".to_owned()),
            "{least} of {n}"
        );
        assert_eq!(chosen(&held(Config::default(), &vec![1; n], &ballots(least - 1))), None, "{} of {n}", least - 1);
    }
}

#[test]
fn the_two_quorums_and_the_two_bases() {
    let cast = Config::default().with_of(Of::Cast);
    // Of ten, seven take part, four abstain: three votes for one option are all that were cast, and 30 % of the electorate.
    let ballots: Vec<(usize, u8)> = (0..7).map(|id| (id, u8::from(id < 3))).collect();
    assert_eq!(chosen(&held(cast.clone(), &[1; 10], &ballots)), Some("1".to_owned()));
    assert_eq!(chosen(&held(Config::default(), &[1; 10], &ballots)), None);
    let strict = held(cast.with_abstaining_counts(false), &[1; 10], &ballots);
    assert_eq!(strict.tallies()[0].verdict, Verdict::NoQuorum);
    assert_eq!((strict.tallies()[0].abstained, strict.tallies()[0].absent), (4, 3));
}

#[test]
fn a_round_ends_as_soon_as_it_is_settled() {
    let rules = Rules::new(Config::default()).unwrap();
    let open = || Consensus::open(rules.clone(), (0..10).map(|id| (agent(id), 1)), Time::ZERO).unwrap();
    let mut vote = open();
    for id in 0..6 {
        assert_eq!(vote.cast(agent(id), 1, option(1), Time::ZERO), Ok(vec![]));
    }
    assert_eq!(vote.cast(agent(6), 1, option(1), Time::ZERO).unwrap().len(), 2);
    let before = vote.clone();
    assert_eq!(vote.cast(agent(7), 1, option(2), Time::ZERO), Err(VoteError::NotOpen));
    assert_eq!(vote, before, "a late vote changes no byte");
    // Four against: 67 % cannot be reached any more.
    let mut vote = open();
    (0..3).for_each(|id| assert_eq!(vote.cast(agent(id), 1, option(0), Time::ZERO), Ok(vec![])));
    vote.cast(agent(3), 1, option(0), Time::ZERO).unwrap();
    assert_eq!(vote.standing(), &Standing::Undecided);
}

#[test]
fn rounds_deadlines_and_a_person() {
    let config = Config::default()
        .with_rounds(2)
        .with_lasts(Some(Duration::from_secs(10)))
        .with_again(Again::Replaces)
        .with_otherwise(vec![Otherwise::Expertise, Otherwise::Escalate]);
    let electorate = [(agent(1), 1), (agent(2), 1)];
    let mut vote =
        Consensus::open(Rules::new(config).unwrap(), electorate, Time::ZERO).unwrap().with_options(["1", "2", "3"]);
    let at = Time::from_secs;
    vote.cast(agent(1), 1, option(1), at(1)).unwrap();
    vote.cast(agent(1), 1, option(2), at(2)).unwrap();
    assert_eq!(vote.ballots().get(&agent(1)), Some(&option(2)), "the last counts");
    assert_eq!(vote.cast(agent(2), 1, option(1), at(10)), Err(VoteError::Late { closed: at(10) }));
    assert_eq!(vote.cast(agent(2), 1, option(9), at(9)), Err(VoteError::UnknownOption { option: "9".into() }));
    assert_eq!(vote.cast(agent(7), 1, option(1), at(9)), Err(VoteError::NotEligible { agent: agent(7) }));
    assert_eq!(vote.tick(at(9)), vec![]);
    let records = vote.tick(at(12));
    assert!(
        matches!(&records[1], Record::Opened { round: 2, closes: Some(closes) } if *closes == at(22)),
        "{records:?}"
    );
    assert_eq!(vote.cast(agent(2), 1, option(1), at(13)), Err(VoteError::OtherRound { ballot: 1, round: 2 }));
    assert!(vote.ballots().is_empty(), "everybody votes anew");
    vote.cast(agent(1), 2, option(1), at(13)).unwrap();
    vote.cast(agent(2), 2, option(2), at(13)).unwrap();
    assert_eq!(vote.rule("Ada", "1"), Err(VoteError::NotEscalated));
    vote.close(at(14)).unwrap();
    assert_eq!((vote.standing(), vote.closes()), (&Standing::Escalated, None), "nobody is an expert");
    assert!(vote.rule("Ada", "4").is_err());
    vote.rule("Ada", "3").unwrap();
    let decision = vote.decision().unwrap();
    assert_eq!((decision.by.clone(), decision.dissent.len()), (Means::Person("Ada".into()), 2));
    let text = serde_json::to_string(&vote).unwrap();
    assert_eq!(serde_json::from_str::<Consensus>(&text).unwrap(), vote);
}

#[test]
fn experts_vote_before_their_weight_decides() {
    let config = Config::default().with_otherwise(vec![Otherwise::Expertise]);
    let voters = (1..=3).map(|id| (agent(id), 1));
    let vote = Consensus::open(Rules::new(config).unwrap(), voters, Time::ZERO).unwrap();
    let mut vote = vote.with_expertise([(agent(1), 2), (agent(2), 1), (agent(3), 2)]);
    vote.cast(agent(1), 1, option(1), Time::ZERO).unwrap();
    // 67 % cannot be reached any more, but the third one's expertise counts.
    assert_eq!(vote.cast(agent(2), 1, option(2), Time::ZERO), Ok(vec![]));
    vote.cast(agent(3), 1, option(2), Time::ZERO).unwrap();
    assert_eq!(vote.decision().map(|decision| (&*decision.option, decision.by.clone())), Some(("2", Means::Expertise)));
}

#[test]
fn electorates_that_make_no_sense_are_refused() {
    let open = |members: Vec<(AgentId, u64)>| Consensus::open(Rules::default(), members, Time::ZERO).unwrap_err();
    assert_eq!(open(vec![]), VoteError::NoElectorate);
    assert_eq!(open(vec![(agent(1), 0)]), VoteError::NoElectorate);
    assert_eq!(open(vec![(agent(1), 1), (agent(1), 2)]), VoteError::Twice { agent: agent(1) });
    assert!(matches!(open((0..70_000).map(|id| (agent(id), 1)).collect()), VoteError::TooManyVoters { .. }));
    assert!(Rules::new(Config::default().with_approval(Share::NONE)).is_err());
    assert!(Rules::new(Config::default().with_rounds(0)).is_err());
}

/// The outcome by the definition, from the complete list of ballots.
fn by_definition(config: &Config, weights: &[u64], ballots: &BTreeMap<usize, u8>) -> Option<String> {
    let weight = |id: &usize| u128::from(weights[*id]);
    let sum_of =
        |wanted: u8| ballots.iter().filter(|(_, ballot)| **ballot == wanted).map(|(id, _)| weight(id)).sum::<u128>();
    let (all, abstained) = (weights.iter().map(|weight| u128::from(*weight)).sum::<u128>(), sum_of(0));
    let sums: Vec<(u8, u128)> = (1..4).map(|option| (option, sum_of(option))).collect();
    let cast: u128 = sums.iter().map(|(_, sum)| sum).sum();
    let part = cast + if config.abstaining_counts { abstained } else { 0 };
    let base = if config.of == Of::Eligible { all } else { cast };
    let (q, a): ((u32, u32), (u32, u32)) = (config.participation.into(), config.approval.into());
    let most = sums.iter().map(|(_, sum)| *sum).max()?;
    let winners: Vec<u8> = sums.iter().filter(|(_, sum)| *sum == most).map(|(option, _)| *option).collect();
    let carried = part * u128::from(q.1) >= all * u128::from(q.0) && most * u128::from(a.1) >= base * u128::from(a.0);
    (carried && most > 0 && winners.len() == 1).then(|| winners[0].to_string())
}

prop_compose! {
    fn configs()(part in 0_u8..=100, approve in 1_u8..=100, cast: bool, abstaining: bool, replace: bool) -> Config {
        Config::default()
            .with_participation(Share::percent(part))
            .with_approval(Share::percent(approve))
            .with_of(if cast { Of::Cast } else { Of::Eligible })
            .with_abstaining_counts(abstaining)
            .with_again(if replace { Again::Replaces } else { Again::Refused })
    }
}

prop_compose! {
    fn votes()(weights in prop::collection::vec(0_u64..6, 1..9))
        (ballots in prop::collection::btree_map(0..weights.len(), 0_u8..4, 0..=weights.len()), mut weights in Just(weights))
        -> (Vec<u64>, BTreeMap<usize, u8>) {
        weights[0] += 1;
        (weights, ballots)
    }
}

proptest! {
    /// A round that ended early ended as it would have in any case: the result is that of the definition over all ballots,
    /// in whatever order they came.
    #[test]
    fn the_result_is_that_of_the_definition(config in configs(), (weights, ballots) in votes(), order: prop::sample::Index) {
        let mut cast: Vec<(usize, u8)> = ballots.iter().map(|(id, ballot)| (*id, *ballot)).collect();
        let expected = by_definition(&config, &weights, &ballots);
        let turn = order.index(cast.len().max(1));
        cast.rotate_left(turn);
        prop_assert_eq!(chosen(&held(config.clone(), &weights, &cast)), expected.clone());
        cast.reverse();
        prop_assert_eq!(chosen(&held(config.clone(), &weights, &cast)), expected.clone());
        // The unit of weights means nothing, and who has none changes nothing.
        let scaled: Vec<u64> = weights.iter().map(|weight| weight * 7_000_000_000).chain([0]).collect();
        cast.push((weights.len(), 3));
        prop_assert_eq!(chosen(&held(config, &scaled, &cast)), expected.clone());
    }

    /// With unanimity required, one other vote prevents a decision; above one half at most one option can be decided.
    #[test]
    fn all_means_all_and_a_majority_is_one((weights, ballots) in votes(), percent in 51_u8..=100) {
        let cast: Vec<(usize, u8)> = ballots.iter().map(|(id, ballot)| (*id, *ballot)).collect();
        let everybody: BTreeSet<u8> = (0..weights.len())
            .filter(|id| weights[*id] > 0)
            .map(|id| ballots.get(&id).copied().unwrap_or(0))
            .collect();
        let unanimous = everybody.len() == 1 && !everybody.contains(&0);
        let strict = Config::default().with_approval(Share::ALL);
        prop_assert_eq!(chosen(&held(strict, &weights, &cast)).is_some(), unanimous);
        let config = Config::default().with_approval(Share::percent(percent)).with_participation(Share::NONE);
        let all: u64 = weights.iter().sum();
        let reaching = (1..4_u8).filter(|option| {
            let sum: u64 = cast.iter().filter(|(_, ballot)| ballot == option).map(|(id, _)| weights[*id]).sum();
            Share::percent(percent).is_reached(sum.into(), all.into())
        });
        let reaching: Vec<String> = reaching.map(|option| option.to_string()).collect();
        prop_assert!(reaching.len() <= 1);
        prop_assert_eq!(chosen(&held(config, &weights, &cast)), reaching.first().cloned());
    }

    /// More support never unelects.
    #[test]
    fn support_helps(config in configs(), (weights, ballots) in votes(), voter: prop::sample::Index) {
        let vote = held(config.clone(), &weights, &ballots.clone().into_iter().collect::<Vec<_>>());
        if let Some(winner) = chosen(&vote) {
            let mut more = ballots;
            more.insert(voter.index(weights.len()), winner.parse().unwrap());
            let again = held(config, &weights, &more.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(chosen(&again), Some(winner));
        }
    }
}
