use super::*;

fn about(name: &str) -> About {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    About { csv: root.join("src/bin/agent_team/cars.csv"), out: root.join("../../target/agent_team_tests").join(name) }
}

fn figure(done: &Done, pointer: &str) -> f64 {
    done.output.value().pointer(pointer).and_then(serde_json::Value::as_f64).unwrap()
}

/// How many tasks certainly are with somebody.
fn certain(tensor: &TaskTensor) -> usize {
    tensor.tasks().iter().filter(|task| tensor.pinned(**task).is_some()).count()
}

#[test]
fn eight_parts_in_four_rounds() {
    let about = about("all_stay");
    let done = run(&team().unwrap(), &about, None).unwrap();
    assert_eq!(done.rounds.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 2, 1]);
    assert_eq!((done.nodes, done.taken_back), (8, 0));
    assert!(done.balance(&team().unwrap()) > 0.9);
    let [begin, middle, end] = &done.tensors[..] else { panic!("three tensors") };
    assert!(done.tensors.iter().all(|tensor| tensor.values().dim() == (8, 5, 4)));
    assert_eq!([begin, middle, end].map(certain), [3, 8, 8], "three are held at once; the last has begun in the third");
    // The rounds of the tensor are those in which the team works.
    let rounds = begin.rounds(&[1; 5]).unwrap();
    assert_eq!(rounds.iter().map(|round| round.pairs.len()).collect::<Vec<_>>(), [3, 2, 2, 1]);
    // The line that every textbook has for these data.
    assert!((figure(&done, "/implementation/slope") - 3.9324).abs() < 1e-4);
    assert!((figure(&done, "/implementation/intercept") + 17.5791).abs() < 1e-4);
    assert!((figure(&done, "/implementation/r2") - 0.6511).abs() < 1e-4);
    assert!((figure(&done, "/analysis/correlation") - 0.8069).abs() < 1e-4);
    let report = std::fs::read_to_string(about.out.join("report.md")).unwrap();
    assert!(report.contains("| dist | 42.98 | 25.77 | 2 | 120 |"), "{report}");
    let chart = std::fs::read_to_string(about.out.join("chart.svg")).unwrap();
    // Fifty measurements, and one in the legend.
    assert_eq!(chart.matches("<circle").count(), 51);
    assert_eq!(charts::faults(&chart, 2), [""; 0]);
    for text in
        [">speed, miles per hour<", ">stopping distance, feet<", "R² 0.65", ">25</text>", ">120</text>", "<polyline"]
    {
        assert!(chart.contains(text), "no {text} in {chart}");
    }
}

#[test]
fn an_agent_that_leaves_is_replaced_and_nothing_is_lost_or_done_twice() {
    let done = run(&team().unwrap(), &about("one_leaves"), Some("ML engineer")).unwrap();
    let mut kinds: Vec<&String> = done.rounds.iter().flatten().map(|(_, kind)| kind).collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!((kinds.len(), done.rounds.iter().flatten().count(), done.taken_back), (8, 8, 1));
    let shapes: Vec<_> = done.tensors.iter().map(|tensor| tensor.values().dim()).collect();
    assert_eq!(shapes, [(8, 5, 4), (8, 4, 4), (8, 4, 4)], "half-way one is gone");
    // What the engineer has done is nobody's any more; the rest was done by those who stay.
    assert_eq!(certain(&done.tensors[2]), 7);
    let (by, _) = done.rounds.iter().flatten().find(|(_, kind)| kind == "implementation").unwrap();
    assert_eq!(by.get(), 1, "the data analyst can do it, too");
    assert!((figure(&done, "/implementation/slope") - 3.9324).abs() < 1e-4);
}

#[test]
fn a_test_that_fails_fails_the_run() {
    let mut table = work::read(&about("x").csv).unwrap();
    // Nothing hangs together any more.
    for (place, row) in table.rows.iter_mut().enumerate() {
        row[1] = f64::from(u8::try_from(place * 37 % 50).unwrap());
    }
    let text: Vec<String> = table.rows.iter().map(|row| format!("{},{}", row[0], row[1])).collect();
    let folder = about("noise");
    std::fs::create_dir_all(&folder.out).unwrap();
    let csv = folder.out.join("noise.csv");
    std::fs::write(&csv, format!("speed,dist\n{}\n", text.join("\n"))).unwrap();
    assert!(run(&team().unwrap(), &About { csv, out: folder.out }, None).is_err());
}
