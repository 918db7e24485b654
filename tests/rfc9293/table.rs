//! Holds the README's tables of requirements and deviations to the requirements, the tests and the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// How many requirements of each kind RFC 9293 numbers, from 1 on without a gap (Appendix B).
const KINDS: [(&str, u32); 4] = [("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)];

/// The title of the table's section.
const SECTION: &str = "## RFC 9293, requirement by requirement";

/// What can become of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    NotApplicable,
    Deviation,
    NotYet,
}

/// A row of the table.
#[derive(Debug)]
struct Row {
    id: String,
    verdict: Verdict,
    remark: String,
    tests: Vec<String>,
}

/// A file of this package.
fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The section of the README that begins with this title.
fn section(title: &str) -> String {
    let readme = read("README.md");
    let mut sections = readme.split("\n## ").skip(1);
    let title = title.trim_start_matches("## ");
    sections.find(|text| text.starts_with(title)).expect("the README has the section").to_owned()
}

/// The table: `| id | verdict | tests |`, with what there is to say behind the verdict.
fn rows() -> Vec<Row> {
    let table = section(SECTION);
    let of_a_row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, verdict, tests] = cells[..] else { panic!("a row of three cells: {line}") };
        let (verdict, remark) = verdict.split_once(": ").unwrap_or((verdict, ""));
        let verdict = match verdict {
            "met" => Verdict::Met,
            "not applicable" => Verdict::NotApplicable,
            "deviation" => Verdict::Deviation,
            "not yet" => Verdict::NotYet,
            other => panic!("{id}: {other:?} is no verdict"),
        };
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Row { id: id.to_owned(), verdict, remark: remark.to_owned(), tests }
    };
    let is_row = |line: &&str| KINDS.iter().any(|(kind, _)| line.starts_with(&format!("| {kind}-")));
    table.lines().filter(is_row).map(of_a_row).collect()
}

/// All sources in a folder of this package.
fn sources(folder: &str) -> Vec<String> {
    let mut sources = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    sources
}

/// The names of all test functions in the integration tests.
fn tests() -> BTreeSet<String> {
    sources("tests").iter().flat_map(|source| tests_of(source)).collect()
}

/// The comments of a source that tell of a deviation, each with what it is about.
fn deviations_in(source: &str) -> Vec<String> {
    let text_of =
        |line: &str| line.trim().strip_prefix("//").map(|text| text.trim_start_matches(['/', '!']).to_owned());
    let lines: Vec<Option<String>> = source.lines().map(text_of).collect();
    let comments = lines.split(Option::is_none).map(|lines| lines.iter().flatten().map(String::as_str).collect());
    comments.filter(|comment: &String| comment.contains("Deviation:")).collect()
}

/// The words of a text, those that name sections and requirements whole.
fn words(text: &str) -> BTreeSet<&str> {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || "§-.".contains(c);
    text.split(|c| !is_inside(c)).map(|word| word.trim_end_matches('.')).filter(|word| !word.is_empty()).collect()
}

/// The functions marked as tests in a source.
fn tests_of(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in source.split("#[test]").skip(1) {
        if let Some((_, rest)) = part.split_once("fn ") {
            names.extend(rest.split('(').next().map(str::to_owned));
        }
    }
    names
}

/// The requirement that a test is named after: `must_13_…` is MUST-13's.
fn id_of(test: &str) -> Option<String> {
    let mut words = test.split('_');
    let (kind, number) = (words.next()?.to_uppercase(), words.next()?);
    let (_, last) = KINDS.iter().find(|(name, _)| *name == kind)?;
    let number: u32 = number.parse().ok()?;
    (1..=*last).contains(&number).then(|| format!("{kind}-{number}"))
}

#[test]
fn the_table_has_every_requirement_once() {
    let ids: Vec<String> = rows().into_iter().map(|row| row.id).collect();
    let wanted: Vec<String> =
        KINDS.iter().flat_map(|(kind, last)| (1..=*last).map(move |number| format!("{kind}-{number}"))).collect();
    assert_eq!(wanted.len(), 119);
    assert_eq!(ids, wanted);
}

#[test]
fn the_table_names_the_tests_there_are_and_no_others() {
    let tests = tests();
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for row in rows() {
        for test in row.tests {
            assert!(tests.contains(&test), "{}: there is no test {test}", row.id);
            assert!(id_of(&test).is_none_or(|id| id == row.id), "{test} stands in the row of {}", row.id);
            named.insert(test, row.id.clone());
        }
    }
    for test in tests {
        assert!(id_of(&test).is_none() || named.contains_key(&test), "the table does not name {test}");
    }
}

#[test]
fn what_is_met_is_tested_and_what_is_not_says_why() {
    let deviations = section("## Deviations");
    for row in rows() {
        match row.verdict {
            Verdict::Met => assert!(!row.tests.is_empty(), "{}: met, and no test", row.id),
            Verdict::NotApplicable | Verdict::NotYet => {
                assert!(!row.remark.is_empty(), "{}: without a reason", row.id);
            }
            Verdict::Deviation => {
                assert!(!row.remark.is_empty(), "{}: without a reason", row.id);
                let is_told = deviations.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|w| w == row.id);
                assert!(is_told, "{}: the section on deviations does not tell of it", row.id);
            }
        }
    }
}

#[test]
fn every_mechanism_in_the_readme_has_its_file_and_every_file_its_mechanism() {
    let table = section("## What is done, and what is not");
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| RFC"));
    let files_of = |row: &str| {
        let cell = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default().to_owned();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut named: Vec<String> = rows.flat_map(files_of).collect();
    named.sort();
    // What the unit tests share.
    let helpers = ["solo", "testing"];
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tcp")).unwrap();
    let stem = |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<String> = entries.map(|entry| stem(entry.unwrap().path())).collect();
    files.retain(|file| !helpers.contains(&file.as_str()));
    files.sort();
    assert_eq!(named, files, "each once");
}

#[test]
fn every_deviation_in_the_readme_stands_in_the_code_and_the_other_way_round() {
    let table = section("## Deviations");
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| where"));
    let told: Vec<BTreeSet<&str>> = rows.filter_map(|row| row.split('|').nth(1)).map(words).collect();
    let comments: Vec<String> = sources("src").iter().flat_map(|source| deviations_in(source)).collect();
    let stands = |place: &BTreeSet<&str>, comment: &String| place.is_subset(&words(comment));
    for place in &told {
        assert!(comments.iter().any(|comment| stands(place, comment)), "no comment tells of {place:?}");
    }
    for comment in &comments {
        assert!(told.iter().any(|place| stands(place, comment)), "the README does not tell of {comment}");
    }
    assert_eq!(told.len(), comments.len());
}
