//! Programs that must not compile, each with a twin that does, one line away.
//!
//! A program in `tests/misuse/` is its own description: `//~ CODE` stands at the line in which the compiler has to find
//! the error, and `//= …`, below a line, is what the twin has in its place. That code, in that line and nothing else, has
//! to be found in the program, and no error in the twin; how the compiler words it is of no importance. Where one fault
//! has more than one consequence, codes in brackets may be found in that line as well.
//! `protocol.rs` is the crate of roles and session types which most programs use: they are foreign to it, as they are to
//! this library.
#![expect(clippy::expect_used, clippy::panic, reason = "a test has nobody else to tell")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::SystemTime;
use std::{env, fs, thread};

/// Where the programs are.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/misuse");

/// Where twins and what is compiled go.
const SCRATCH: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/misuse");

#[test]
fn each_program_fails_for_its_reason_and_its_twin_compiles() {
    let compiler = Compiler::new();
    let programs = programs();
    assert!(programs.len() >= 24, "only {} programs in {PROGRAMS}", programs.len());
    let queue = Mutex::new(programs.iter());
    let work = || -> String {
        let next = || queue.lock().expect("a worker panicked").next();
        let complaint = |path: &PathBuf| Some(format!("\n{}: {}", path.display(), check(&compiler, path).err()?));
        std::iter::from_fn(next).filter_map(complaint).collect()
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let complaints: String = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker panicked")).collect()
    });
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn the_json_reader_finds_what_it_is_asked_for() {
    let line = r#"{"a":{"b":"x,\"}","c":[1,{"d":null}]},"e":[],"f":7}"#;
    assert_eq!(field(line, "f"), Some("7"));
    assert_eq!(field(line, "b"), None);
    assert_eq!(field(field(line, "a").unwrap(), "b"), Some(r#""x,\"}""#));
    assert_eq!(parts(field(field(line, "a").unwrap(), "c").unwrap()), ["1", r#"{"d":null}"#]);
    assert_eq!(parts(field(line, "e").unwrap()), [""; 0]);
}

/// The programs, without the crate that they share.
fn programs() -> Vec<PathBuf> {
    let entries = fs::read_dir(PROGRAMS).expect("no directory of programs");
    let mut programs: Vec<_> = entries.map(|entry| entry.expect("unreadable directory").path()).collect();
    programs.retain(|path| !path.ends_with("protocol.rs") && path.extension().is_some_and(|it| it == "rs"));
    programs.sort();
    programs
}

/// What a program says of itself.
struct Program {
    /// The line in which errors have to be found.
    line: usize,
    /// The code that has to be found there.
    required: String,
    /// The codes that may be found there as well.
    allowed: BTreeSet<String>,
    /// The source, one line changed.
    twin: String,
}

/// An error of the compiler: its code, or the name of a lint, and its line in the program.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Error {
    code: String,
    line: usize,
}

/// Reads the marks of a program.
fn read(source: &str) -> Result<Program, String> {
    let mut marks = Vec::new();
    let mut twin: Vec<&str> = Vec::new();
    let mut replaced = 0;
    for (number, line) in (1..).zip(source.lines()) {
        if let Some((_, codes)) = line.split_once("//~ ") {
            marks.push((number, codes));
        }
        if let Some(right) = line.trim_start().strip_prefix("//= ") {
            *twin.last_mut().ok_or("//= has no line above it")? = right;
            replaced += 1;
        }
        twin.push(line);
    }
    let (&[(line, codes)], 1) = (marks.as_slice(), replaced) else {
        return Err("needs one //~ and one //=".to_owned());
    };
    let mut codes = codes.split([' ', '(', ')']).filter(|code| !code.is_empty()).map(str::to_owned);
    let required = codes.next().ok_or("//~ names no code")?;
    Ok(Program { line, required, allowed: codes.collect(), twin: twin.join("\n") + "\n" })
}

impl Program {
    /// Whether a program that has these errors fails for its reason.
    fn fails_by(&self, errors: &BTreeSet<Error>) -> bool {
        let meant = |error: &Error| error.code == self.required || self.allowed.contains(&error.code);
        errors.iter().any(|error| error.code == self.required)
            && errors.iter().all(|error| error.line == self.line && meant(error))
    }
}

/// Compiles a program and its twin.
fn check(compiler: &Compiler, path: &Path) -> Result<(), String> {
    let source = fs::read_to_string(path).map_err(|cause| cause.to_string())?;
    let program = read(&source)?;
    let name = path.file_stem().and_then(|name| name.to_str()).ok_or("has no name")?;

    let found = compiler.errors(path, &format!("{name}_wrong"))?;
    if !program.fails_by(&found) {
        return Err(format!("expected {} in line {}, found {found:?}", program.required, program.line));
    }
    let twin = Path::new(SCRATCH).join(format!("{name}.rs"));
    fs::write(&twin, program.twin).map_err(|cause| cause.to_string())?;
    let found = compiler.errors(&twin, &format!("{name}_right"))?;
    if !found.is_empty() {
        return Err(format!("its twin {} has {found:?}", twin.display()));
    }
    Ok(())
}

/// How programs are compiled.
struct Compiler {
    /// Where the library and what it depends on are.
    deps: PathBuf,
    /// The library.
    library: PathBuf,
}

impl Compiler {
    /// Finds the library that was built with this test, and compiles the crate that the programs share.
    fn new() -> Self {
        fs::create_dir_all(SCRATCH).expect("no scratch directory");
        let this = env::current_exe().expect("this test has no path");
        let deps = this.parent().expect("this test has no directory").to_owned();
        for library in libraries(&deps) {
            let compiler = Compiler { deps: deps.clone(), library };
            let protocol = Path::new(PROGRAMS).join("protocol.rs");
            if compiler.errors(&protocol, "protocol").is_ok_and(|errors| errors.is_empty()) {
                return compiler;
            }
        }
        panic!("protocol.rs compiles with no libsession_tcp-*.rlib in {}", deps.display());
    }

    /// The errors of a crate, in the lines of its own source. Nothing but its metadata is made: nothing runs.
    fn errors(&self, source: &Path, crate_name: &str) -> Result<BTreeSet<Error>, String> {
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=json"]);
        rustc.args(["--crate-name", crate_name, "--out-dir", SCRATCH, "-L", SCRATCH]);
        rustc.arg("-L").arg(concat_path("dependency=", &self.deps));
        rustc.arg("--extern").arg(concat_path("session_tcp=", &self.library));
        if crate_name != "protocol" {
            rustc.args(["--extern", "protocol"]);
        }
        let output = rustc.arg(source).output().map_err(|cause| format!("rustc does not run: {cause}"))?;
        let diagnostics = String::from_utf8_lossy(&output.stderr);
        let errors: BTreeSet<_> = diagnostics.lines().filter_map(|line| error(line, source)).collect();
        if output.status.success() == errors.is_empty() {
            return Ok(errors);
        }
        Err(format!("rustc: {}, but {errors:?} in:\n{diagnostics}", output.status))
    }
}

/// The builds of the library beside this test, the newest first: an older one may be of an older source.
fn libraries(deps: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(deps).expect("unreadable target directory").flatten().map(|entry| entry.path());
    let mut libraries: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rlib"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libsession_tcp-")))
        .collect();
    let age = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    libraries.sort_by_key(|path| std::cmp::Reverse(age(path)));
    libraries
}

fn concat_path(prefix: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(prefix);
    argument.push(path);
    argument
}

/// Reads one of the compiler's messages; none if it is no error, or the count of errors at the end, which has no place.
fn error(line: &str, source: &Path) -> Option<Error> {
    if field(line, "level")? != "\"error\"" {
        return None;
    }
    let spans = parts(field(line, "spans")?);
    let mut span = *spans.iter().find(|span| field(span, "is_primary") == Some("true"))?;
    let is_here = |span| field(span, "file_name").is_some_and(|name| Path::new(name.trim_matches('"')) == source);
    // What a macro of another file made is written where the macro is called.
    while let Some(outer) = field(span, "expansion").and_then(|expansion| field(expansion, "span"))
        && !is_here(span)
    {
        span = outer;
    }
    let code = field(line, "code").and_then(|code| field(code, "code")).unwrap_or("no code");
    // An error elsewhere has no line here, so that nobody can expect it.
    let number = if is_here(span) { field(span, "line_start")?.parse().ok()? } else { 0 };
    Some(Error { code: code.trim_matches('"').to_owned(), line: number })
}

/// The value of a field of a JSON object, as it is written there.
fn field<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let named = |part: &'a str| part.strip_prefix('"')?.strip_prefix(name)?.strip_prefix("\":");
    parts(object).into_iter().find_map(named)
}

/// The parts of a JSON object or array; none of anything else.
fn parts(json: &str) -> Vec<&str> {
    let inner = json.strip_prefix(['{', '[']).and_then(|rest| rest.strip_suffix(['}', ']'])).unwrap_or_default();
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let is_comma = |character: char| {
        match character {
            _ if escaped => {
                escaped = false;
                return false;
            }
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth -= 1,
            _ => {}
        }
        character == ',' && !quoted && depth == 0
    };
    inner.split(is_comma).filter(|part| !part.is_empty()).collect()
}
