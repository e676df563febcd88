//! The life cycle as a picture: where each state stands on the page is decided here, every arrow and its words come from the transition table.
#![allow(clippy::expect_used, clippy::panic, reason = "test helpers")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// From one state to another, by these events.
pub type Arrows = BTreeMap<(&'static str, &'static str), Vec<String>>;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 640.0;
/// Half the size of a state's box.
const HALF: (f64, f64) = (58.0, 22.0);
const LINE: f64 = 13.0;

/// The middle of each state's box.
const PLACES: [(&str, f64, f64); 9] = [
    ("armed", 70.0, 80.0),
    ("booting", 360.0, 80.0),
    ("starting", 580.0, 30.0),
    ("installing", 640.0, 190.0),
    ("finishing", 930.0, 340.0),
    ("verified", 1120.0, 80.0),
    ("failed", 250.0, 500.0),
    ("fallback", 890.0, 500.0),
    ("held", 1110.0, 600.0),
];

fn place(state: &str) -> (f64, f64) {
    let (_, x, y) = PLACES.iter().find(|(name, ..)| *name == state).unwrap_or_else(|| panic!("{state} has no place in the diagram"));
    (*x, *y)
}

/// Where the line from the middle of a box towards `(x, y)` leaves the box.
fn edge((cx, cy): (f64, f64), (x, y): (f64, f64)) -> (f64, f64) {
    let (dx, dy) = (x - cx, y - cy);
    let reach = (HALF.0 / dx.abs()).min(HALF.1 / dy.abs());
    (cx + dx * reach, cy + dy * reach)
}

fn arrow(svg: &mut String, from: &str, to: &str, words: &[String], class: &str) {
    let (a, b) = (place(from), place(to));
    // Bent to its right, so that the way there and the way back are two lines.
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx.hypot(dy);
    let bend = if dy.abs() < 1.0 { 0.0 } else { 0.12 * length };
    let middle = ((a.0 + b.0) / 2.0 - dy / length * bend, (a.1 + b.1) / 2.0 + dx / length * bend);
    let (start, end) = (edge(a, middle), edge(b, middle));
    let _ = writeln!(
        svg,
        "  <path class=\"{class}\" d=\"M {:.0} {:.0} Q {:.0} {:.0} {:.0} {:.0}\"/>",
        start.0, start.1, middle.0, middle.1, end.0, end.1
    );
    // The middle of the curve.
    let (x, y) = (0.25 * start.0 + 0.5 * middle.0 + 0.25 * end.0, 0.25 * start.1 + 0.5 * middle.1 + 0.25 * end.1);
    let top = y - LINE * (words.len() as f64 - 1.0) / 2.0 + 4.0;
    for (at, word) in words.iter().enumerate() {
        let _ = writeln!(svg, "  <text class=\"word\" x=\"{x:.0}\" y=\"{:.0}\">{word}</text>", top + LINE * at as f64);
    }
}

/// Draws it. `next` is the one way that is no step of an attempt: the next attempt of the same order.
pub fn diagram(arrows: &Arrows, next: (&str, &str, [&str; 2])) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"15\">\n\
         \x20 <!-- printed by tests/lifecycle_doc.rs from the transition table -->\n\
         \x20 <style>\n\
         \x20   rect.page {{ fill: #ffffff }} rect.state {{ fill: #eef3f8; stroke: #33516e }} rect.end {{ fill: #e6f2e6; stroke: #3c6e3c }}\n\
         \x20   text {{ text-anchor: middle; fill: #222222 }} text.word {{ font-size: 11px; paint-order: stroke; stroke: #ffffff; stroke-width: 4px }}\n\
         \x20   path {{ fill: none; stroke: #777777; marker-end: url(#tip) }} path.next {{ stroke-dasharray: 6 4; stroke: #a05000 }}\n\
         \x20 </style>\n\
         \x20 <defs><marker id=\"tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path d=\"M 0 0 L 10 5 L 0 10 z\" style=\"fill: #777777; stroke: none; marker-end: none\"/></marker></defs>\n\
         \x20 <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
    );
    for ((from, to), words) in arrows {
        arrow(&mut svg, from, to, words, "step");
    }
    arrow(&mut svg, next.0, next.1, &next.2.map(str::to_owned), "next");
    for (state, x, y) in PLACES {
        let class = if ["verified", "fallback", "held"].contains(&state) { "end" } else { "state" };
        let (left, top, width, height) = (x - HALF.0, y - HALF.1, 2.0 * HALF.0, 2.0 * HALF.1);
        let _ = writeln!(svg, "  <rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>");
        let _ = writeln!(svg, "  <text x=\"{x}\" y=\"{}\">{state}</text>", y + 5.0);
    }
    svg + "</svg>\n"
}
