// SPDX-License-Identifier: Apache-2.0
#include "agent/delivery_options.h"

#include <CLI/CLI.hpp>

namespace cleave::agent {

void add_delivery_options(CLI::App& command, DeliveryTexts& texts) {
  auto* const results =
      command
          .add_option("--results", texts.results,
                      "Append one terminal record of every picture to this file: its answer, or "
                      "that and why it was dropped")
          ->type_name("FILE");
  auto* const spool =
      command
          .add_option("--spool", texts.spool,
                      "Folder in which pictures wait that nobody can answer now; they are tried "
                      "again when the server answers, by this run or the next")
          ->needs(results)
          ->type_name("DIR");
  command
      .add_option("--spool-limit", texts.spool_limit_bytes,
                  "Most bytes that the folder may take (default: 256MiB)")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true))
      ->needs(spool)
      ->type_name("SIZE");
  command
      .add_option("--spool-ttl", texts.spool_ttl,
                  "Drop what waited for longer, as in 30m, 12h or 7d")
      ->needs(spool)
      ->capture_default_str();
  command.add_option("--spool-full", texts.spool_full, "What goes when the folder is full")
      ->needs(spool)
      ->check(CLI::IsMember({"drop-oldest", "drop-newest"}))
      ->capture_default_str();
  command
      .add_option("--spool-form", texts.spool_form,
                  "As what a picture waits: smaller (of its file and what its head computed; that "
                  "is of use to this version of the model alone) or picture (its file)")
      ->needs(spool)
      ->check(CLI::IsMember({"smaller", "picture"}))
      ->capture_default_str();
  command
      .add_option("--sync", texts.sync,
                  "When results and spool are made durable: always (before a picture counts as "
                  "accepted or ended), interval:TIME (at the latest after it: a power cut may lose "
                  "so much), or never (a power cut may lose all that the system had not written)")
      ->needs(results)
      ->capture_default_str();
  command
      .add_option("--write-budget", texts.write_budget,
                  "To spare an SD card: while spool and results have written more than this, as in "
                  "1GB/day, no pictures are copied and they wait in their own files alone; the "
                  "small records of each go on")
      ->needs(spool);
}

}  // namespace cleave::agent
