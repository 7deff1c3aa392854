//! `deploy`: one sentence to a running deployment.

use std::process::ExitCode;

fn main() -> ExitCode {
    // This executable is also the keeper of deployed processes and the sample app: see `code_providers`.
    if let Some(code) = code_providers::keeper_main().or_else(code_providers::sample::sample_main) {
        return code;
    }
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write as _;
        let text = format!(
            "error[front::panic]: a mistake in the program itself: {panic}\n\n\
             hint: nothing that was recorded is lost; `deploy resume` goes on with a run. Please report this.\n"
        );
        // A standard error that is closed: there is nowhere left to say it.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }));
    let args: Vec<_> = std::env::args_os().collect();
    front::run(&args).into()
}
