"""What is wrong with a run: rules over its records, settings, data and samples.

Reading order: evidence, curve_rules, cause_rules, sample_rules, diagnosis; run_records, image_facts measure.
"""
