"""What people pick and what is shipped: a network, fitted detectors, their calibration and concepts in one folder."""
