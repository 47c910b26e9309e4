"""Parts that Streamlit lacks: their TypeScript is in `frontend/src`, what the browser runs of it in `bundles/`."""
